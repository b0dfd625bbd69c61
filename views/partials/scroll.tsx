import type { Child } from 'hono/jsx'

/** A box that scrolls sideways when its content is too wide; the keyboard can reach it. */
export function Scroll({ label, children }: { label: string; children?: Child }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="scroll" tabindex={0} aria-label={label}>
      {children}
    </section>
  )
}
