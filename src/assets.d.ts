/** Files that esbuild puts beside the bundle (wasm) or into it as text (htmx, css). */
declare module '*.wasm' {
  const path: string
  export default path
}
declare module '*.min.js' {
  const text: string
  export default text
}
declare module '*.css' {
  const text: string
  export default text
}
declare module '*.svg' {
  const text: string
  export default text
}
declare module '*/views/assets/live.js' {
  const text: string
  export default text
}

declare module '*/views/assets/page.js' {
  const text: string
  export default text
}
