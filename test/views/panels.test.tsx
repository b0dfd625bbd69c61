import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Column, DataRow, DataTable } from '../../views/partials/data-table.tsx'
import { Panel } from '../../views/partials/panel.tsx'

type Row = { name: string; n: string }

const columns: Column<Row>[] = [
  { head: 'Name', rowHeader: true, class: 'k', title: ({ n }) => n, cell: ({ name }) => name },
  { head: 'Count', number: true, cell: ({ n }) => n },
  { head: 'Chart', headHidden: true, cell: () => <i /> },
]
const rows = [
  { name: 'a', n: '1' },
  { name: 'b', n: '' },
]

describe('a table of data', () => {
  test('names itself, its columns and its rows for screen readers', () => {
    const html = String(<DataTable caption="Things" columns={columns} rows={rows} />)
    assert.match(html, /<section class="scroll" tabindex="0" aria-label="Things, table">/)
    assert.match(html, /<table class="t"><caption class="vh">Things<\/caption>/)
    assert.match(html, /<th scope="col">Name<\/th><th scope="col" class="n">Count<\/th>/)
    assert.match(html, /<th scope="col"><span class="vh">Chart<\/span><\/th>/)
    assert.match(html, /<th scope="row" class="k" title="1">a<\/th>/)
  })

  test('labels its numbers only where rows fold, and only where there is a number', () => {
    const plain = String(<DataTable caption="Things" columns={columns} rows={rows} />)
    assert.doesNotMatch(plain, /data-l/)
    const folding = String(<DataTable caption="Things" columns={columns} rows={rows} stack />)
    assert.equal(folding.match(/data-l="count"/g)?.length, 1)
    assert.match(folding, /<td class="n"><\/td>/)
  })

  test('says why it is empty in place of a table', () => {
    const html = String(<DataTable caption="Things" columns={columns} rows={[]} empty="No <b>" />)
    assert.equal(html, '<p class="empty">No &lt;b&gt;</p>')
  })

  test('renders a row alone as it is in the table', () => {
    const [row = { name: '', n: '' }] = rows
    const alone = String(<DataRow columns={columns} row={row} id="x" stack />)
    const whole = String(
      <DataTable caption="Things" columns={columns} rows={[row]} rowId={() => 'x'} stack />,
    )
    assert.match(alone, /^<tr id="x">/)
    assert.ok(whole.includes(alone))
  })
})

describe('a panel', () => {
  test('is a region with the name of its heading', () => {
    assert.equal(
      String(<Panel title="Gaps" note="known" class="w4" />),
      '<section id="panel-gaps" class="panel w4" aria-label="Gaps"><header><h2>Gaps</h2><small>known</small></header></section>',
    )
  })

  test('has a name also without a heading', () => {
    assert.equal(
      String(<Panel label="Jobs">x</Panel>),
      '<section id="panel-jobs" class="panel" aria-label="Jobs">x</section>',
    )
  })
})
