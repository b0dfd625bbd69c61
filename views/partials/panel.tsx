import type { Child } from 'hono/jsx'
import { age } from '../format.ts'

type Props = {
  /** Width and place among the panels: `w4` to `w8`, `all`, `fill`; see wafermon.css. */
  class?: string
  /** The place that links lead to; made of the title or label unless given. By it the panel is replaced on an open page. */
  id?: string
  /** How old its values are, in seconds, where they are older than the page: `ageOfPart`. */
  oldS?: number | undefined
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
export function Panel({ class: more, title, note, label, id, oldS, children }: Props) {
  const name = title ?? label
  return (
    <section
      id={id ?? `panel-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`}
      class={['panel', more, oldS !== undefined && 'stale'].filter(Boolean).join(' ')}
      aria-label={name}
    >
      {title === undefined ? null : (
        <header>
          <h2>{title}</h2>
          {note === undefined ? null : <small>{note}</small>}
        </header>
      )}
      {oldS === undefined ? null : <p class="old">Not current: {age(oldS)} old</p>}
      {children}
    </section>
  )
}

/** In the place of a panel whose question was not answered. The top bar says since when. */
export function Down({ title, class: more }: { title: string; class?: string }) {
  return (
    <Panel title={title} class={more === undefined ? 'down' : `down ${more}`}>
      <p class="empty">No answer yet. This fills by itself as soon as there is one.</p>
    </Panel>
  )
}
