import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as ops from '../../src/ir/ops/index.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { axisMask, type Mask } from '../../src/masks/mask.ts'
import { encodeSafetensors } from '../../src/masks/safetensors.ts'
import { buildGraph } from '../builder.ts'
import { chasec, json } from './chasec.ts'
import { net, netMasks, writeMasks, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-masks-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const run = (...args: ReadonlyArray<string>) => chasec(args, { cwd: folder })

/** Three products of one shape, their names lost. */
const lost = (): Graph =>
  buildGraph({ x: ['N', 6] }, (b) => {
    const hidden = ['onnx::MatMul_7', 'onnx::MatMul_8', 'onnx::MatMul_9'].reduce(
      (x, name) => b.op(ops.Relu, [b.op(ops.MatMul, [x, b.weight(name, [6, 6])])]),
      'x',
    )
    return [hidden]
  })

/** The first `count` of six outputs masked, of a Linear `[out, in]`. */
const without = (count: number): Mask =>
  axisMask(
    [6, 6],
    0,
    Uint8Array.from({ length: 6 }, (_, i) => (i < count ? 0 : 1)),
  )

beforeAll(() => {
  writeModel(at('net.onnx'), net())
  writeModel(at('lost.onnx'), lost())
  const named = [...netMasks()].map(([name, mask]) => [`module._orig_mod.${name}`, mask] as const)
  writeMasks(at('prefixed.safetensors'), new Map(named))
  writeMasks(
    at('lost.safetensors'),
    new Map([
      ['fc1.weight', without(1)],
      ['fc2.weight', without(2)],
    ]),
  )
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('masks', () => {
  it('lists what matched what and how, and what has no mask', () => {
    const { code, stdout, stderr } = run('masks', 'net.onnx', 'prefixed.safetensors')
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^mask +shape +kept +weight +shape +read by +found by/)
    expect(stdout).toMatch(/module\._orig_mod\.a\.weight +16x3x3x3 +50 % +a\.weight +16x3x3x3 +Conv conv0 +name/)
    expect(stdout).toMatch('No mask for 1 prunable weight: b.weight [4,16,3,3].')
  })

  it('prints the same as JSON', () => {
    const ran = run('masks', 'net.onnx', 'prefixed.safetensors', '--json')
    expect(ran.code).toBe(0)
    expect(json(ran)).toMatchObject({
      matched: [
        {
          mask: 'module._orig_mod.a.weight',
          shape: [16, 3, 3, 3],
          kept: 0.5,
          weight: 'a.weight',
          way: 'name',
          layout: 'same',
        },
      ],
      unmasked: [{ weight: 'b.weight', shape: [4, 16, 3, 3] }],
      notes: [],
    })
  })

  it('refuses what it cannot decide', () => {
    const { code, stdout, stderr } = run('masks', 'lost.onnx', 'lost.safetensors')
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch('3 that it fits equally')
    expect(stderr).toMatch('--write-map')
  })

  it('finds weights by the numbers of those that are given', () => {
    const constants = lost().constants
    const [first, second] = ['onnx::MatMul_7', 'onnx::MatMul_9'].map((name) => constants.get(name))
    if (first === undefined || second === undefined) throw new Error('no weights')
    writeFileSync(
      at('weights.safetensors'),
      Buffer.concat(
        encodeSafetensors(
          new Map([
            ['fc1.weight', second],
            ['fc2.weight', first],
          ]),
        ),
      ),
    )
    const ran = run('masks', 'lost.onnx', 'lost.safetensors', '--weights', 'weights.safetensors', '--json')
    expect(ran.stderr).toBe('')
    expect(json(ran)).toMatchObject({
      matched: [
        { mask: 'fc1.weight', weight: 'onnx::MatMul_9', way: 'value', layout: 'same' },
        { mask: 'fc2.weight', weight: 'onnx::MatMul_7', way: 'value', layout: 'same' },
      ],
    })
  })
})

describe('a map', () => {
  const compileLost = ['compile', 'lost.onnx', '--masks', 'lost.safetensors']

  it('is drafted, looked over and given back', () => {
    const drafted = run('masks', 'lost.onnx', 'lost.safetensors', '--write-map', 'map.yaml')
    expect(drafted.stderr).toBe('')
    expect(drafted.code).toBe(0)
    expect(drafted.stdout).toMatch('map.yaml has 2 masks, 2 of them to look over.')
    expect(drafted.stdout).toMatch(
      'Next: chasec compile lost.onnx --masks lost.safetensors --mask-map map.yaml -o FOLDER',
    )
    const text = readFileSync(at('map.yaml'), 'utf8')
    expect(text).toMatch('# fc1.weight: a guess by order, onnx::MatMul_7 [6,6]')
    expect(text).toMatch('# "fc2.weight": {"weight":"onnx::MatMul_8"}')
    expect(text.split('\n').every((line) => line === '' || line.startsWith('#'))).toBe(true)
    writeFileSync(at('map.yaml'), text.replaceAll(/^# (".*)\}$/gm, '$1,"transpose":true}'))
    const ran = run(...compileLost, '--mask-map', 'map.yaml', '-o', 'mapped', '--json')
    expect(ran.stderr).toBe('')
    expect(ran.code).toBe(0)
    expect(json(ran)).toMatchObject({
      verification: { equal: true },
      matching: {
        matched: [
          { mask: 'fc1.weight', weight: 'onnx::MatMul_7', way: 'map', layout: 'transposed' },
          { mask: 'fc2.weight', weight: 'onnx::MatMul_8', way: 'map', layout: 'transposed' },
        ],
        unmasked: [{ weight: 'onnx::MatMul_9' }],
      },
      report: {
        layers: [
          { outputs: { before: 6, after: 5 } },
          { outputs: { before: 6, after: 4 } },
          { outputs: { before: 6, after: 6 } },
        ],
      },
    })
  })

  it('guesses nothing while its lines are comments', () => {
    expect(run('masks', 'lost.onnx', 'lost.safetensors', '--write-map', 'guesses.yaml').code).toBe(0)
    const { code, stderr } = run(...compileLost, '--mask-map', 'guesses.yaml', '-o', 'guessed')
    expect(code).toBe(2)
    expect(stderr).toMatch(/mask map|fits equally/)
    expect(readdirSync(folder)).not.toContain('guessed')
  })

  it('has what is certain ready to use', () => {
    expect(run('masks', 'net.onnx', 'prefixed.safetensors', '--write-map', 'sure.yaml').stdout).toMatch(
      /has 1 masks?\./,
    )
    expect(readFileSync(at('sure.yaml'), 'utf8')).toMatch(
      /^"module\._orig_mod\.a\.weight": \{"weight":"a\.weight","transpose":false\}$/m,
    )
    const ran = run('masks', 'net.onnx', 'prefixed.safetensors', '--mask-map', 'sure.yaml', '--json')
    expect(json(ran)).toMatchObject({ matched: [{ weight: 'a.weight', way: 'map' }] })
  })

  it('is not written over another file, unless forced', () => {
    writeFileSync(at('mine.yaml'), 'mine')
    const draft = ['masks', 'lost.onnx', 'lost.safetensors', '--write-map', 'mine.yaml']
    const refused = run(...draft)
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch('mine.yaml')
    expect(readFileSync(at('mine.yaml'), 'utf8')).toBe('mine')
    expect(run(...draft, '--force').code).toBe(0)
    expect(readFileSync(at('mine.yaml'), 'utf8')).toMatch('fc1.weight')
  })

  it('that is no YAML is a sentence, and so is one that is no map', () => {
    writeFileSync(at('broken.yaml'), 'fc1.weight: {weight: a\nfc2: ]')
    const broken = run('masks', 'lost.onnx', 'lost.safetensors', '--mask-map', 'broken.yaml')
    expect(broken.code).toBe(2)
    expect(broken.stderr).toMatch('broken.yaml: expected JSON or YAML, found ')
    expect(broken.stderr).not.toMatch(/^ +at /m)
    writeFileSync(at('list.yaml'), '- fc1.weight\n')
    const list = run('masks', 'lost.onnx', 'lost.safetensors', '--mask-map', 'list.yaml')
    expect(list.code).toBe(2)
    expect(list.stderr).toMatch('mask map: expected an object with an entry for each mask')
  })
})

describe('compile --masks', () => {
  it('tells how masks found their weights: on stdout, in the manifest and in the report', () => {
    const args = ['compile', 'net.onnx', '--masks', 'prefixed.safetensors', '-o', 'out']
    const ran = run(...args)
    expect(ran.stderr).toBe('')
    expect(ran.stdout).toMatch('1 mask found its weight: 1 by name.')
    const matching = { matched: [{ mask: 'module._orig_mod.a.weight', weight: 'a.weight', way: 'name' }] }
    const report = { layers: [{ outputs: { before: 16, after: 8 } }, {}] }
    expect(json(run(...args, '--json'))).toMatchObject({ matching, report })
    expect(JSON.parse(readFileSync(at('out', 'chasec.json'), 'utf8'))).toMatchObject({ matching })
    const page = readFileSync(at('out', 'report.html'), 'utf8')
    expect(page).toMatch('Masks and their weights')
    expect(page).toMatch('module._orig_mod.a.weight')
  })

  it('has no such section for the zeros of the weights', () => {
    expect(run('compile', 'net.onnx', '--masks', 'zeros', '--no-verify', '-o', 'zeros').code).toBe(0)
    expect(readFileSync(at('zeros', 'report.html'), 'utf8')).not.toMatch('Masks and their weights')
    expect(JSON.parse(readFileSync(at('zeros', 'chasec.json'), 'utf8'))).not.toHaveProperty('matching')
  })

  it.each([
    ['--weights', [], '--masks beside it'],
    ['--mask-map', [], '--masks beside it'],
    ['--weights', ['--masks', 'zeros'], 'a file of masks'],
    ['--mask-map', ['--masks', 'zeros'], 'a file of masks'],
  ])('%s says where masks of a file belong: %j is none', (flag, masks, expected) => {
    const { code, stderr } = run('compile', 'net.onnx', ...masks, flag, 'net.onnx', '-o', 'none')
    expect(code).toBe(2)
    expect(stderr).toMatch(`${flag}: expected ${expected}`)
    expect(readdirSync(folder)).not.toContain('none')
  })

  it('written packed are the same masks, which compile finds, and take fewer bytes', () => {
    const { code, stdout, stderr } = run('masks', 'net.onnx', 'prefixed.safetensors', '--pack', 'packed.safetensors')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^packed\.safetensors \(\S+ k?B\) has \d masks?, which take .* unpacked\.$/m)
    const listed = (file: string) => {
      const { matched } = JSON.parse(run('masks', 'net.onnx', file, '--json').stdout)
      return matched.map(({ weight, kept }: Record<string, unknown>) => [weight, kept]).toSorted()
    }
    expect(listed('packed.safetensors')).toEqual(listed('prefixed.safetensors'))
    expect(readFileSync(at('packed.safetensors')).length).toBeLessThan(readFileSync(at('prefixed.safetensors')).length)
    for (const [file, out] of [
      ['prefixed.safetensors', 'a'],
      ['packed.safetensors', 'b'],
    ] as const) {
      expect(run('compile', 'net.onnx', '--masks', file, '-o', out).code).toBe(0)
    }
    expect(readFileSync(at('a', 'model.onnx')).equals(readFileSync(at('b', 'model.onnx')))).toBe(true)
    expect(run('masks', 'net.onnx', 'prefixed.safetensors', '--pack', 'packed.safetensors').stderr).toMatch('--force')
    const both = ['--pack', 'c.safetensors', '--write-map', 'map.yaml']
    expect(run('masks', 'net.onnx', 'prefixed.safetensors', ...both).stderr).toMatch('no --write-map beside it')
    const dry = run('masks', 'net.onnx', 'prefixed.safetensors', '--pack', 'dry.safetensors', '--dry-run')
    expect(dry.stdout).toMatch('nothing was written. It would have been dry.safetensors')
    expect(readdirSync(folder)).not.toContain('dry.safetensors')
  })
})
