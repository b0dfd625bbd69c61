import type { Child } from 'hono/jsx'
import { Layout } from '../../views/layout.tsx'
import type { NavigationEntry, Page } from '../../views/page.ts'
import { stampPage } from './live/parts.ts'
import { findUnknown, respond, respondNotUnderstood } from './respond.tsx'
import { answerStatus, toPage, type Visit } from './visit.ts'

/**
 * A page of the dashboard, declared once, in a file of `pages/`. From the list in `pages/index.ts`
 * come the routes, the navigation, and the checks that tests make of every page.
 *
 * - `load` runs only for a visitor who may see the pages, and with a site that exists.
 * - `load` asks the API through `ask`, so that an outage shows the last values, or a 503 when there
 *   are none; whatever else it throws becomes a page that explains the failure.
 * - The page is complete without JavaScript. While it is open it is made again every few seconds, and
 *   the elements with an id that differ replace those on the screen: see live/parts.ts.
 */
export type PageDeclaration<View> = {
  /** The route, such as `/jobs/:id`. */
  path: string
  /** The page's own entry in the navigation, or the path of the page whose entry it belongs to. */
  navigation: { entry: string } | { under: string }
  /** Everything that the body shows; a response instead of it when there is no such page. */
  load: (visit: Visit) => Promise<View | Response>
  title: (view: View) => string
  body: (props: { page: Page; view: View }) => Child
  /** Parameters of its address and of its parts, besides `site` and `theme`; all others are refused. */
  params?: readonly string[]
  /** Fragments and files that belong to the page, by path. */
  parts?: Readonly<Record<string, Answer>>
  /** Forms that the page sends by POST, by path. Each refuses what other pages send. */
  forms?: Readonly<Record<string, Answer>>
}

type Answer = (visit: Visit) => Promise<Response>

/** A declared page, as the list holds it. */
export type DashboardPage = {
  path: string
  entry: NavigationEntry | undefined
  parts: Readonly<Record<string, Answer>>
  forms: Readonly<Record<string, Answer>>
  answer: Answer
}

export function definePage<View>(declaration: PageDeclaration<View>): DashboardPage {
  const { path, navigation, params = [], parts = {}, forms = {} } = declaration
  const checked = (answer: Answer) => (visit: Visit) =>
    refuseUnknown(visit, params) ?? answer(visit)
  return {
    path,
    entry: 'entry' in navigation ? { name: navigation.entry, path } : undefined,
    parts: Object.fromEntries(
      Object.entries(parts).map(([place, answer]) => [place, checked(answer)]),
    ),
    forms,
    answer: checked((visit) => answerPage(declaration, visit)),
  }
}

function refuseUnknown(visit: Visit, params: readonly string[]): Promise<Response> | undefined {
  const problems = findUnknown(visit, params)
  return problems.length === 0 ? undefined : respondNotUnderstood(visit, problems)
}

async function answerPage<View>(declaration: PageDeclaration<View>, visit: Visit) {
  const { path, navigation, title, body: Body } = declaration
  const view = await declaration.load(visit)
  if (view instanceof Response) return view
  const page = toPage(visit)
  const content = (
    <Layout
      page={page}
      title={title(view)}
      section={'under' in navigation ? navigation.under : path}
      live
    >
      <Body page={page} view={view} />
    </Layout>
  )
  return respond(visit, stampPage(await content.toString()), answerStatus(visit))
}
