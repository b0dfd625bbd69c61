/*
 * Keys of Zabbix: `name[param,param]`. A parameter is quoted exactly where Zabbix quotes it when discovery
 * makes an item of a prototype, for a value finds its item by the text of the key.
 */

/** A key with placeholders. Its parameters are apart, so that each is quoted as a whole. */
export type KeyTemplate = { name: string; params: readonly string[] }

/** The values of the placeholders. */
export type KeyFields = Readonly<Record<(typeof fields)[number], string>>

const inName = ['entity_type', 'kind', 'status'] as const
const fields = [...inName, 'app', 'site'] as const

export const keyMessage =
  'must be a key of Zabbix such as wafer.{entity_type}.{kind}[{app}]: letters, digits, dots, hyphens, underscores, and in brackets parameters without quotes; {entity_type}, {kind} and {status} anywhere, {app} and {site} in brackets'

/** Longest key that Zabbix has, in characters. */
export const maxKeyLength = 2048

const form = new RegExp(
  `^((?:[\\w.-]|\\{(?:${inName.join('|')})\\})+)(?:\\[((?:[\\w. ,/:-]|\\{(?:${fields.join('|')})\\})*)\\])?$`,
)

/** @returns undefined for what is not a key with known placeholders */
export function readKeyTemplate(text: string): KeyTemplate | undefined {
  const [whole, name = '', params] = form.exec(text) ?? []
  if (whole === undefined) return undefined
  return { name, params: params === undefined ? [] : params.split(',') }
}

/** True when a key of this template tells sites apart. */
export const hasSite = ({ params }: KeyTemplate): boolean =>
  params.some((param) => param.includes('{site}'))

/**
 * The key of a value.
 *
 * @param metric added as one more parameter
 * @returns undefined when no key can hold these texts
 */
export function makeKey(
  template: KeyTemplate,
  values: KeyFields,
  metric?: string,
): string | undefined {
  const params = template.params.map((param) => fill(param, values))
  const quoted = [...params, ...(metric === undefined ? [] : [metric])].map(quote)
  if (quoted.includes(undefined)) return undefined
  const name = fill(template.name, values)
  const key = quoted.length === 0 ? name : `${name}[${quoted.join(',')}]`
  return [...key].length > maxKeyLength ? undefined : key
}

const fill = (text: string, values: KeyFields) =>
  text.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name as keyof KeyFields])

/** Within quotes nothing but a quote is escaped; so what is quoted cannot end with a backslash. */
function quote(param: string): string | undefined {
  if (!/^[" []|[,\]]/.test(param)) return param
  return param.endsWith('\\') ? undefined : `"${param.replaceAll('"', '\\"')}"`
}
