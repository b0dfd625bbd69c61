import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

/*
 * The contrast of the tokens, which axe cannot judge in SVG, over pseudo-elements and for single
 * characters. Limits: 7:1 for text on its usual background, 4.5:1 for all other text, 3:1 for shapes
 * with a meaning.
 */
const css = readFileSync(new URL('../../views/assets/wafermon.css', import.meta.url), 'utf8')

type Theme = 'light' | 'dark'

/** A token as `#rrggbb` in a theme. */
function color(name: string, theme: Theme): string {
  const both = new RegExp(`--${name}: light-dark\\((#\\w+), (#\\w+)\\)`).exec(css)
  const one = new RegExp(`--${name}: (#\\w+);`).exec(css)
  const hex = both ? both[theme === 'light' ? 1 : 2]! : one?.[1]
  assert.ok(hex, `there is no token --${name}`)
  return hex.length === 4 ? hex.replaceAll(/[0-9a-f]/g, '$&$&') : hex
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const share = Number.parseInt(hex.slice(i, i + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
}

function contrast(one: string, other: string): number {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light! + 0.05) / (dark! + 0.05)
}

/** [color, background, minimum]. */
const pairs: [string, string, number][] = [
  ...['field', 'panel', 'well', 'band'].map((on): [string, string, number] => ['ink', on, 7]),
  ...['field', 'panel'].map((on): [string, string, number] => ['dim', on, 7]),
  ['dim', 'well', 4.5],
  ['field', 'ink', 7],
  ['panel', 'run', 4.5],
  ['ink', 'done', 4.5],
  ['p1t', 'p1', 4.5],
  ['pt', 'p2', 4.5],
  ['pt', 'p3', 4.5],
  ...['field', 'panel', 'well'].map((on): [string, string, number] => ['edge', on, 3]),
  ['run', 'panel', 3],
  ['edge', 'band', 3],
]

describe('the colors', () => {
  for (const theme of ['light', 'dark'] as const) {
    for (const [seen, on, least] of pairs) {
      test(`${seen} on ${on} reaches ${least}:1 (${theme})`, () => {
        const reached = contrast(color(seen, theme), color(on, theme))
        assert.ok(reached >= least, `it is ${reached.toFixed(2)}:1`)
      })
    }
  }

  test('are measured correctly: black on white is 21:1', () => {
    assert.equal(contrast('#000000', '#ffffff').toFixed(1), '21.0')
  })

  test('of alarms are used only by alarms', () => {
    const used = [...css.matchAll(/([^{}]+)\{[^{}]*var\(--p[123]t?\)/g)]
    assert.ok(used.length > 0)
    const others = used.filter(
      ([, selector]) => !/\.al|:first-child|text|&\.p[123]/.test(selector!),
    )
    assert.deepEqual(
      others.map(([all]) => all),
      [],
    )
  })
})
