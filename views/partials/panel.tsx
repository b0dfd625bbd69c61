import type { Child } from 'hono/jsx'

type Props = {
  /** Width and place among the panels: `w4` to `w8`, `all`, `fill`; see wafermon.css. */
  class?: string
  /** The place that links lead to. */
  id?: string
  children?: Child
} & (Titled | { title?: undefined; note?: undefined; label: string })

type Titled = {
  /** The heading, which also names the region for screen readers. */
  title: string
  /** Small text beside the heading. */
  note?: Child
  label?: undefined
}

/** A framed part of a page. Two panels of one page never share a name. */
export function Panel({ class: more, id, title, note, label, children }: Props) {
  return (
    <section
      id={id}
      class={more === undefined ? 'panel' : `panel ${more}`}
      aria-label={title ?? label}
    >
      {title === undefined ? null : (
        <header>
          <h2>{title}</h2>
          {note === undefined ? null : <small>{note}</small>}
        </header>
      )}
      {children}
    </section>
  )
}
