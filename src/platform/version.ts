/** The version of this build; esbuild inserts that of package.json. */
declare const __WAFERMON_VERSION__: string | undefined

export const version =
  typeof __WAFERMON_VERSION__ === 'string' ? __WAFERMON_VERSION__ : '0.0.0-source'
