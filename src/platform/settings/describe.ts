import type * as z from 'zod'

/** A setting, for documents and for `wafermon config show`. */
export type Described = {
  description: string
  unit: string
  range: string
  /** Its default; undefined when there is none. */
  standard: unknown
  required: boolean
  secret: boolean
  place: boolean
  /** It is the path of a file whose content belongs to the configuration. */
  file: boolean
}

type Layer = { unwrap?: () => Layer; meta: () => object | undefined }

/** Describes a setting by its schema: what each layer of it says, the outer one first. */
export function describeSetting(schema: z.ZodObject, name: string): Described {
  const setting = schema.shape[name] as z.ZodType
  let meta: Partial<Described> = {}
  for (let layer: Layer | undefined = setting as Layer; layer; layer = layer.unwrap?.()) {
    meta = { ...layer.meta(), ...meta }
  }
  const { success, data } = setting.safeParse(undefined)
  const { description = '', unit = '', range = '' } = meta
  const { secret = false, place = false, file = false } = meta
  return { description, unit, range, secret, place, file, standard: data, required: !success }
}
