/** The command line on terminals of some widths, and where its output goes elsewhere. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { columnsOf } from '../../src/cli/terminal.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { buildGraph, convNormRelu } from '../builder.ts'
import { chasec } from './chasec.ts'
import { writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-width-'))
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const long = 'backbone.encoder.層.0.residual_block.first_convolution_of_two'
const args = ['prune', 'net.onnx', '--channels', '0.5', '-o', 'masks.safetensors', '--force']

beforeAll(() => {
  const graph = buildGraph({ x: ['N', 3, 8, 8] }, (b) => {
    const hidden = convNormRelu(b, 'a', 'x', [16, 3, 3])
    return [b.op(ops.Conv, [hidden, b.weight('b.weight', [4, 16, 3, 3])], { pads: [1, 1, 1, 1] })]
  })
  const [first, ...others] = graph.nodes
  if (first === undefined) throw new Error('the graph has nodes')
  writeModel(join(folder, 'net.onnx'), { ...graph, nodes: [{ ...first, name: long }, ...others] })
})

afterAll(() => rmSync(folder, { recursive: true }))

/** What util-linux's `script` shows on a terminal of `columns`; undefined where it is not installed. */
const onTerminal = (columns: number): ReadonlyArray<string> | undefined => {
  if (!/util-linux/.test(spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout ?? '')) return undefined
  const command = `stty cols ${columns} rows 50; '${process.execPath}' '${main}' ${args.join(' ')}`
  const { stdout } = spawnSync('script', ['-qec', command, '/dev/null'], { cwd: folder, encoding: 'utf8' })
  // A line of progress is wiped before what comes in its place.
  return stdout.split(/\r?\n/).map((line) => stripVTControlCharacters(line.split('\r').at(-1) ?? ''))
}

describe('the width of what is printed', () => {
  it('is that of the terminal, 80 or COLUMNS where it does not say, and without end elsewhere', () => {
    expect(columnsOf({ isTTY: true, columns: 57 }, { columns: 90 })).toBe(57)
    expect(columnsOf({ isTTY: true, columns: 0 }, { columns: 90 })).toBe(90)
    expect(columnsOf({ isTTY: true }, { columns: undefined })).toBe(80)
    expect(columnsOf({ columns: 57 }, { columns: 90 })).toBe(Infinity)
  })

  it('is the same in a pipe whatever COLUMNS says, with names in full', () => {
    const [narrow, wide] = ['40', '200'].map((columns) => chasec(args, { cwd: folder, env: { COLUMNS: columns } }))
    expect(narrow?.stdout).toMatch(long)
    expect(narrow?.stdout).toBe(wide?.stdout)
  })

  it.skipIf(onTerminal(80) === undefined)('is kept to on terminals of 40, 60, 80 and 120 columns', () => {
    for (const columns of [40, 60, 80, 120]) {
      const lines = onTerminal(columns) ?? []
      const table = lines.filter((line) => !line.includes('Next: chasec'))
      expect(table.join('\n')).toMatch(columns <= 80 ? '…' : 'first_convolution_of_two')
      expect(Math.max(...table.map((line) => stringWidth(line)))).toBeLessThanOrEqual(columns)
      // The command to go on with is whole, to be copied.
      expect(lines.join('\n')).toMatch('Next: chasec compile net.onnx --masks masks.safetensors -o FOLDER')
    }
  })
})
