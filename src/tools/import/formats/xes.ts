import type { SAXParser } from 'sax'
import { type Cut, defineFormat, type Metadata } from '../format.ts'
import type { Source } from '../source.ts'
import { type CaseInfo, Cases, type XesPiece } from './xes-cases.ts'

/*
 * XES (IEEE 1849): `log` has traces, the cases; a trace has events; all have attributes with a key and a value.
 * The parser is fed as the file is read, and holds one event. It knows no entities but the five of XML.
 */
export const xes = defineFormat<XesPiece>({
  cut,
  observe(context) {
    const cases = new Cases()
    return (piece) => cases.observe(piece, context)
  },
})

async function* cut(source: Source): AsyncGenerator<Cut<XesPiece>> {
  const { parser: makeParser } = (await import('sax')).default
  const parser = makeParser(true, { position: true })
  const found: Cut<XesPiece>[] = []
  let broken: Cut<XesPiece> | undefined
  parser.onerror = (error) => {
    const [message = ''] = error.message.split('\n')
    const why = `is not well-formed XML (${message}); nothing after it is read`
    broken ??= { line: parser.line + 1, why }
  }
  // The parser reads on to the end of what it was given.
  new Reader(parser, (piece) => {
    if (!broken) found.push(piece)
  })
  for await (const text of source.texts()) {
    // After an error the parser throws at the next write.
    parser.write(text)
    yield* found.splice(0)
    if (broken) return yield broken
  }
  if (parser.line === 0 && parser.position === 0) return
  parser.close()
  yield* found.splice(0)
  if (broken) yield broken
}

/** Elements that hold attributes. */
const holders: ReadonlySet<string> = new Set(['log', 'trace', 'event'])
const types: ReadonlySet<string> = new Set(['string', 'date', 'int', 'float', 'boolean', 'id'])
/** Of one event: the others are left out. */
const maxAttributes = 100
const maxValueLength = 4000

/** Makes pieces of the tags of a log. */
class Reader {
  readonly #emit: (piece: Cut<XesPiece>) => void
  readonly #parser: SAXParser
  /** Names of the open elements that matter, and how deep the tag is in one that does not. */
  readonly #open: string[] = []
  #ignored = 0
  #log: Metadata = {}
  #case: CaseInfo | undefined
  #cases = 0
  #event: Metadata | undefined
  #line = 0

  constructor(parser: SAXParser, emit: (piece: Cut<XesPiece>) => void) {
    this.#parser = parser
    this.#emit = emit
    parser.onopentag = ({ name, attributes }) =>
      this.#opens(name.replace(/^.*:/, ''), attributes as Record<string, string>)
    parser.onclosetag = () => this.#closes()
  }

  #opens(name: string, { key, value }: Record<string, string>): void {
    const holder = this.#open.at(-1)
    if (this.#ignored > 0 || (!holders.has(name) && !types.has(name))) {
      this.#ignored++
    } else if (holders.has(name)) {
      this.#open.push(name)
      this.#line = this.#parser.line + 1
      if (name === 'trace') this.#case = { number: ++this.#cases, log: this.#log, attributes: {} }
      if (name === 'event') this.#event = {}
    } else {
      // What is inside an attribute is about the attribute.
      this.#ignored++
      this.#keep(holder, name, key, value)
    }
  }

  #keep(holder: string | undefined, type: string, key = '', value = ''): void {
    const into =
      holder === 'event' ? this.#event : holder === 'trace' ? this.#case?.attributes : this.#log
    if (into === undefined || key === '' || Object.keys(into).length >= maxAttributes) return
    const text = value.slice(0, maxValueLength)
    const number = type === 'int' || type === 'float' ? Number(text) : Number.NaN
    Object.defineProperty(into, key, {
      value: type === 'boolean' ? text === 'true' : Number.isFinite(number) ? number : text,
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }

  #closes(): void {
    if (this.#ignored > 0) {
      this.#ignored--
      return
    }
    const name = this.#open.pop()
    const line = this.#line
    if (name === 'event' && this.#event) {
      if (this.#case) this.#emit({ line, value: { case: this.#case, event: this.#event } })
      else this.#emit({ line, why: 'is an event outside of any trace' })
      this.#event = undefined
    } else if (name === 'trace' && this.#case) {
      this.#emit({ line: this.#parser.line + 1, value: { case: this.#case, event: undefined } })
      this.#case = undefined
    }
  }
}
