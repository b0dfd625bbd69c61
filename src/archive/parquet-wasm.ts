import { readFileSync } from 'node:fs'
import * as wasm from 'parquet-wasm/esm'
import wasmPath from 'parquet-wasm/esm/parquet_wasm_bg.wasm'

let ready = false

/** The wasm is loaded once, when the first file is written or read. */
export function loadWasm(): typeof wasm {
  if (!ready) wasm.initSync({ module: readFileSync(new URL(wasmPath, import.meta.url)) })
  ready = true
  return wasm
}
