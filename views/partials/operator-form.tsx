import type { Child } from 'hono/jsx'
import { Panel } from './panel.tsx'

export type OperatorFormView = {
  /** What was wrong with the form, and what was in it. */
  problem: string | undefined
  reason: string
  by: string
}

type Props = {
  view: OperatorFormView
  /** What pressing the button means. */
  about: Child
  /** Where it is sent, and where Cancel leads. */
  action: string
  back: string
  /** What the button says. */
  verb: string
  /** Fields besides reason and name. */
  children?: Child
}

/** A form by which a person changes what the plant's data says, with a reason. */
export function OperatorForm({ view, about, action, back, verb, children }: Props) {
  const { problem, reason, by } = view
  return (
    <Panel title="What this does" class="w8">
      <p>{about}</p>
      {problem === undefined ? null : (
        <p class="banner" role="alert">
          <b>{problem}</b>
        </p>
      )}
      <form class="accept" method="post" action={action}>
        {children}
        <label>
          <span>Reason</span>
          <input name="reason" required maxlength={500} value={reason} />
        </label>
        <label>
          <span>Your name</span>
          <input name="by" maxlength={80} value={by} />
        </label>
        <button class="btn go" type="submit">
          {verb}
        </button>{' '}
        <a class="btn" href={back}>
          Cancel
        </a>
      </form>
    </Panel>
  )
}
