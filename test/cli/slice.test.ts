/** A stream without its smallest components, by the command line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as ops from '../../src/ir/ops/index.ts'
import { buildGraph } from '../builder.ts'
import { normals, uniforms } from '../inflate.ts'
import { chasec, json, type Ran } from './chasec.ts'
import { net, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-slice-'))
const at = (name: string): string => join(folder, name)
const run = (...args: ReadonlyArray<string>): Ran => chasec(args, { cwd: folder })

/** A .npy file of normal numbers. */
const npy = (shape: ReadonlyArray<number>): Uint8Array => {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`
  const padded = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11, ' ')
  const values = Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, normals(uniforms(4)))
  const size = padded.length + 1
  return Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, size & 255, size >> 8]),
    Buffer.from(`${padded}\n`),
    Buffer.from(values.buffer),
  ])
}

beforeAll(() => {
  const stream = buildGraph({ x: ['N', 3, 16] }, (b) => {
    let x = b.op(ops.MatMul, ['x', b.weight('e', [16, 16])])
    for (const i of [0, 1]) {
      const normed = b.op(ops.LayerNormalization, [x, b.positive(`s${i}`, [16]), b.weight(`b${i}`, [16])])
      const hidden = b.op(ops.Relu, [b.op(ops.MatMul, [normed, b.weight(`u${i}`, [16, 24])])])
      x = b.op(ops.Add, [x, b.op(ops.MatMul, [hidden, b.weight(`d${i}`, [24, 16])])])
    }
    return [b.op(ops.MatMul, [b.op(ops.LayerNormalization, [x, b.positive('s', [16])]), b.weight('w', [16, 5])])]
  })
  writeModel(at('stream.onnx'), stream)
  writeModel(at('net.onnx'), net())
  writeFileSync(at('x.npy'), npy([40, 3, 16]))
  writeFileSync(at('images.npy'), npy([2, 3, 8, 8]))
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('slice', () => {
  it('at fraction 0 writes a model that verifies as the same', () => {
    const turned = run('slice', 'stream.onnx', '--fraction', '0', '--calibrate', 'x.npy', '-o', 'turned.onnx')
    expect(turned.stderr).toBe('')
    expect(turned.stdout).toMatch(/16 +16 +100 %/)
    expect(run('verify', 'stream.onnx', 'turned.onnx').code).toBe(0)
  })

  it('writes one that compiles to a narrower stream', () => {
    const options = [
      '--fraction',
      '0.5',
      '--calibrate',
      'x.npy',
      '--multiple',
      '4',
      '--samples',
      '32',
      '-o',
      'sliced.onnx',
    ]
    const sliced = run('slice', 'stream.onnx', ...options, '--json')
    expect(json(sliced)).toMatchObject({
      fraction: 0.5,
      samples: 32,
      left: [],
      values: [
        { channels: 16, kept: 8 },
        { channels: 16, kept: 8 },
        { channels: 16, kept: 8 },
      ],
    })
    const compiled = run('compile', 'sliced.onnx', '-o', 'out', '--json')
    expect(compiled.code).toBe(0)
    const { after, before } = JSON.parse(readFileSync(at('out/chasec.json'), 'utf8')).report
    expect(after.macs).toBeLessThan(0.7 * before.macs)
    const again = run('slice', 'stream.onnx', ...options)
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('sliced.onnx')])
    expect(run('slice', 'stream.onnx', ...options, '--dry-run', '--force').stdout).toMatch('nothing was written')
  })

  it('refuses what has no such stream, and options that make no sense', () => {
    const wrong = (...args: ReadonlyArray<string>): string => {
      const { code, stderr } = run('slice', ...args, '-o', 'wrong.onnx')
      expect(code).toBe(2)
      return stderr
    }
    expect(wrong('net.onnx', '--fraction', '0.5', '--calibrate', 'images.npy')).toMatch(
      /residual stream: expected .*no normalisation/,
    )
    expect(wrong('stream.onnx', '--fraction', '1', '--calibrate', 'x.npy')).toMatch('fraction')
    expect(wrong('stream.onnx', '--fraction', '0.5')).toMatch('--calibrate')
    expect(wrong('stream.onnx', '--fraction', '0.5', '--calibrate', 'images.npy')).toMatch('images.npy')
  })
})
