/*
 * What is installed at the destination: a template with the types of the fields, and a policy that deletes
 * indices by age. There is no rollover: the index follows from the time of the event, so that a repeat
 * meets the document that is there already.
 */

export type Distribution = 'elasticsearch' | 'opensearch'

/** Longest text that is searched; Lucene takes 32,766 bytes, and a character has up to four. */
const maxTerm = 8191

const keyword = { type: 'keyword', ignore_above: maxTerm }
const [date, double, long] = ['date', 'double', 'long'].map((type) => ({ type }))

const keywords = [
  ...['idempotency_key', 'site_id', 'app_id', 'app_name', 'app_version', 'entity_type'],
  ...['entity_id', 'parent_id', 'business_key', 'sub_key', 'event_kind', 'status'],
  ...['source_id', 'source_epoch', 'traceparent'],
]
const dates = ['@timestamp', 'timestamp', 'started_at', 'ended_at', 'received_at']
const doubles = ['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress']

const each = (names: readonly string[], type: object | undefined) =>
  Object.fromEntries(names.map((name) => [name, type]))

/** Whatever names an object has, it is one field: no event can make the mapping grow, or contradict it. */
const flat = (distribution: Distribution) =>
  distribution === 'opensearch'
    ? { type: 'flat_object' }
    : { type: 'flattened', depth_limit: 40, ignore_above: maxTerm }

/** The template of all indices with a prefix. */
export function makeTemplate(
  prefix: string,
  distribution: Distribution,
  policy: string | undefined,
) {
  const lifecycle =
    policy !== undefined && distribution === 'elasticsearch'
      ? { settings: { 'index.lifecycle.name': policy } }
      : {}
  return {
    index_patterns: [`${prefix}-*`],
    priority: 200,
    template: {
      ...lifecycle,
      mappings: {
        dynamic: false,
        properties: {
          ...each(keywords, keyword),
          ...each(dates, date),
          ...each(doubles, double),
          ...each(['source_seq', 'attempt'], long),
          historical: { type: 'boolean' },
          metadata: flat(distribution),
          metrics: flat(distribution),
        },
      },
    },
  }
}

/** Path and body of the policy that deletes indices of that age. */
export function makePolicy(prefix: string, distribution: Distribution, days: number) {
  if (distribution === 'elasticsearch') {
    const phases = {
      hot: { actions: {} },
      delete: { min_age: `${days}d`, actions: { delete: {} } },
    }
    return { path: `/_ilm/policy/${prefix}`, body: { policy: { phases } } }
  }
  const transitions = [{ state_name: 'delete', conditions: { min_index_age: `${days}d` } }]
  return {
    path: `/_plugins/_ism/policies/${prefix}`,
    body: {
      policy: {
        description: 'Deletes indices of wafermon by age',
        default_state: 'hot',
        states: [
          { name: 'hot', actions: [], transitions },
          { name: 'delete', actions: [{ delete: {} }], transitions: [] },
        ],
        ism_template: [{ index_patterns: [`${prefix}-*`], priority: 200 }],
      },
    },
  }
}
