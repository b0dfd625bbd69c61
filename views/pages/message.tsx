import type { Page } from '../page.ts'
import { withQuery } from '../urls.ts'

type Props = { page: Page; title: string; detail: string }

/** The body of a page that can only say why it has nothing to show. */
export function MessageBody({ page, title, detail }: Props) {
  return (
    <>
      <div class="head">
        <h1>{title}</h1>
      </div>
      <p class="empty">
        {detail} <a href={withQuery('/jobs', { site: page.siteQuery })}>Go to the jobs</a>
      </p>
    </>
  )
}
