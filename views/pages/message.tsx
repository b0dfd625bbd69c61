import { Layout } from '../layout.tsx'
import type { Page } from '../page.ts'
import { withQuery } from '../urls.ts'

type Props = { page: Page; title: string; detail: string }

/** A page that has nothing to show but why: not found, not understood, not working. */
export function MessagePage({ page, title, detail }: Props) {
  return (
    <Layout page={page} title={title} section={undefined}>
      <div class="head">
        <h1>{title}</h1>
      </div>
      <p class="empty">
        {detail} <a href={withQuery('/jobs', { site: page.siteQuery })}>To the jobs</a>
      </p>
    </Layout>
  )
}
