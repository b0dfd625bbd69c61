import type { Page } from '../page.ts'
import { withQuery } from '../urls.ts'

type Props = {
  page: Page
  title: string
  /** A sentence, or one for each thing. */
  detail: string | readonly string[]
  /** Where to go on; the jobs unless given. */
  link?: { href: string; text: string } | undefined
}

/** The body of a page that can only say why it has nothing to show. */
export function MessageBody({ page, title, detail, link }: Props) {
  const jobs = { href: withQuery('/jobs', { site: page.siteQuery }), text: 'Go to the jobs' }
  const { href, text } = link ?? jobs
  const sentences = typeof detail === 'string' ? [detail] : detail
  return (
    <>
      <div class="head">
        <h1>{title}</h1>
      </div>
      {sentences.slice(0, -1).map((sentence) => (
        <p class="empty">{sentence}</p>
      ))}
      <p class="empty">
        {sentences.at(-1)} <a href={href}>{text}</a>
      </p>
    </>
  )
}
