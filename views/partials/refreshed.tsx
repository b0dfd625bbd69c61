import type { Child } from 'hono/jsx'

type Props = {
  id: string
  /** The address of the page that holds this part. */
  href: string
  /** The event on which the part loads again; see htmx, `hx-trigger`. */
  on: string
  children?: Child
}

/** The body of a page, which replaces itself with the newest version. Focus and open details stay. */
export function Refreshed({ id, href, on, children }: Props) {
  return (
    <div
      id={id}
      class="body"
      hx-get={href}
      hx-trigger={on}
      hx-select={`#${id}`}
      hx-swap="outerMorph"
    >
      {children}
    </div>
  )
}
