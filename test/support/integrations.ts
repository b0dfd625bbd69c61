import assert from 'node:assert/strict'
import { type IntegrationView, integrationRoutes } from '../../src/api/integrations.ts'
import { underContract } from '../api/contract.ts'

export type Integrations = { total: number; enabled: number; integrations: IntegrationView[] }

/** What a sidecar says of its sinks; the answer has the form that is documented. */
export async function askIntegrations(url: string): Promise<Integrations> {
  const ask = underContract(
    integrationRoutes(() => []),
    (path, init) => fetch(`${url}${path}`, init),
  )
  const answer = await ask('/v1/integrations')
  assert.equal(answer.status, 200)
  return (await answer.json()) as Integrations
}

/** The sinks of a sidecar by name. */
export const sinksByName = async (url: string) => {
  const { integrations } = await askIntegrations(url)
  return Object.fromEntries(integrations.map((one) => [one.name, one]))
}
