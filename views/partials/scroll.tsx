import type { Child } from 'hono/jsx'

/** A box that scrolls sideways when its content is too wide; reachable by keyboard. */
export function Scroll({ label, children }: { label: string; children?: Child }) {
  return (
    <section class="scroll" tabindex={0} aria-label={label}>
      {children}
    </section>
  )
}
