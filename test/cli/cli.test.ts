import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as ops from '../../src/ir/ops/index.ts'
import { tensorOf } from '../../src/ir/tensor.ts'
import { methodNames } from '../../src/train/recipe/index.ts'
import { buildGraph } from '../builder.ts'
import { npy, npyHeader } from '../masks/files.ts'
import { chasec, interrupted, json } from './chasec.ts'
import { net, netMasks, writeMasks, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-cli-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  chasec(args, { cwd: folder, env })
const compileNet = ['compile', 'net.onnx', '--masks', 'masks.safetensors']
const compileAnySize = ['compile', 'any-size.onnx', '--masks', 'masks.safetensors', '--no-verify', '-o', 'out-any']

/** Names and bytes of all files of a folder. */
const contentOf = (path: string): ReadonlyMap<string, string> =>
  new Map(readdirSync(path).map((name) => [name, readFileSync(join(path, name), 'base64')]))

beforeAll(() => {
  writeModel(at('net.onnx'), net())
  // Where sizes are not known, a channel has to carry what constants add at padding.
  writeModel(at('any-size.onnx'), net(['H', 'W']))
  writeMasks(at('masks.safetensors'), netMasks())
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('help', () => {
  it('names every command and what the exit codes mean', () => {
    const { code, stdout } = run(['--help'])
    expect(code).toBe(0)
    for (const name of [
      'compile',
      'inspect',
      'verify',
      'bench',
      'prune',
      'knee',
      'train',
      'sweep',
      'soup',
      'methods',
      'doctor',
    ])
      expect(stdout).toMatch(`  ${name} `)
    expect(stdout).toMatch('Exit codes: 0 done, 1 the answer is no')
  })

  it.each(['compile', 'inspect', 'verify', 'bench', 'prune', 'knee', 'train', 'sweep', 'soup', 'methods', 'doctor'])(
    'of %s teaches by examples',
    (name) => {
      const { code, stdout } = run([name, '--help'])
      expect(code).toBe(0)
      expect(stdout).toMatch(`$ chasec ${name} `)
      expect(stdout).toMatch('--json')
    },
  )

  it('is what a call without a command gets, as bad usage', () => {
    const { code, stdout, stderr } = run([])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch('Usage: chasec')
  })
})

describe('methods', () => {
  it('lists all of them with their papers', () => {
    const { code, stdout } = run(['methods'])
    expect(code).toBe(0)
    for (const name of methodNames) expect(stdout).toMatch(new RegExp(`^${name} `, 'm'))
    expect(stdout).toMatch(/^chase +.*2305\.19454$/m)
  })

  it('tells what one of them can be told', () => {
    const { code, stdout } = run(['methods', 'rigl'])
    expect(code).toBe(0)
    expect(stdout).toMatch('https://arxiv.org/abs/1911.11134')
    expect(stdout).toMatch(/^fraction .*0\.3$/m)
    expect(run(['methods', 'dense']).stdout).toBe('dense: Every weight is kept.\n')
  })

  it('gives the same to machines', () => {
    const found: unknown = JSON.parse(run(['methods', 'chase', '--json']).stdout)
    expect(found).toMatchObject([{ name: 'chase', source: { arxiv: '2305.19454' } }])
  })

  it('knows what a mistyped one was to be', () => {
    const { code, stderr } = run(['methods', 'rigll'])
    expect(code).toBe(2)
    expect(stderr).toMatch('rigl')
  })
})

describe('compile', () => {
  it('removes what the masks leave without use, verifies, and writes a package', () => {
    const { code, stdout, stderr } = run([...compileNet, '-o', 'out'])
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/16 → 8/)
    expect(stdout).toMatch(/verified: max relative error \d/)
    expect([...contentOf(at('out')).keys()].sort()).toEqual(['chasec.json', 'model.onnx', 'report.html'])
    expect(run(['verify', 'out', 'out']).code).toBe(0)
  })

  it('writes a model repository for Triton, which runs as the package does, and replaces one by the other', () => {
    expect(run([...compileNet, '-o', 'plain']).code).toBe(0)
    const filesOf = (path: string): ReadonlyArray<string> =>
      readdirSync(at(path), { recursive: true, withFileTypes: true })
        .flatMap((entry) => (entry.isFile() ? [relative(at(path), join(entry.parentPath, entry.name))] : []))
        .sort()
    const repository = ['chasec.json', 'net/1/model.onnx', 'net/config.pbtxt', 'report.html']
    const triton = [...compileNet, '-o', 'repository', '--triton', 'net', '--max-batch-size', '4']
    expect(run(triton)).toMatchObject({ code: 0, stderr: '' })
    expect(filesOf('repository')).toEqual(repository)
    expect(readFileSync(at('repository', 'net', '1', 'model.onnx'))).toEqual(readFileSync(at('plain', 'model.onnx')))
    expect(readFileSync(at('repository', 'net', 'config.pbtxt'), 'utf8')).toMatch('max_batch_size: 4')
    expect(run(['verify', 'plain', 'repository/net/1']).code).toBe(0)
    expect(run([...compileNet, '-o', 'repository', '--external-data', '--no-verify', '--triton', 'other']).code).toBe(0)
    expect(filesOf('repository')).toEqual([
      ...['chasec.json', 'other/1/model.onnx', 'other/1/model.onnx_data', 'other/config.pbtxt', 'report.html'],
    ])
    expect(run(['verify', 'plain', 'repository/other/1']).code).toBe(0)
    writeFileSync(at('repository', 'other', '1', 'mine.txt'), 'x')
    const refused = run(triton)
    expect(refused.code).toBe(2)
    expect(refused.stderr).toMatch('other files: other/1/mine.txt')
  })

  it('says what is wrong with a name or a batch for Triton before it verifies', () => {
    const inFolder = run([...compileNet, '-o', 'none', '--triton', 'a/b'])
    expect(inFolder).toMatchObject({ code: 2, stdout: '' })
    expect(inFolder.stderr).toMatch('--triton')
    expect(run([...compileNet, '-o', 'none', '--max-batch-size', '4']).stderr).toMatch('--triton')
    expect(existsSync(at('none'))).toBe(false)
  })

  it('gives the same bytes from another folder, with masks in another order, and again', () => {
    const elsewhere = at('elsewhere')
    mkdirSync(elsewhere)
    expect(run([...compileNet, '-o', 'first']).code).toBe(0)
    expect(run([...compileNet, '-o', 'first']).code).toBe(0)
    const args = ['compile', at('net.onnx'), '--masks', at('masks.safetensors'), '-o', 'second']
    expect(chasec(args, { cwd: elsewhere }).code).toBe(0)
    expect(contentOf(join(elsewhere, 'second'))).toEqual(contentOf(at('first')))
    expect(contentOf(at('first')).get('chasec.json')).not.toBe(undefined)
    expect(Buffer.from(contentOf(at('first')).get('chasec.json') ?? '', 'base64').toString()).not.toMatch(folder)
  })

  it('writes nothing and says no when the models differ by more than the tolerance', () => {
    const { code, stdout } = run([...compileNet, '-o', 'refused', '--tolerance', '0'])
    expect(code).toBe(1)
    expect(stdout).toMatch('different')
    expect(stdout).toMatch('Nothing was written')
    expect(readdirSync(folder)).not.toContain('refused')
    const again = run([...compileNet, '-o', 'refused', '--tolerance', '0', '--json'])
    expect(again.code).toBe(1)
    expect(json(again)).toMatchObject({ package: null, verification: { equal: false } })
  })

  it('leaves an earlier package alone when the answer is no', () => {
    expect(run([...compileNet, '-o', 'kept']).code).toBe(0)
    const before = contentOf(at('kept'))
    expect(run(['compile', 'net.onnx', '--masks', 'zeros', '-o', 'kept', '--tolerance', '0']).code).toBe(1)
    expect(contentOf(at('kept'))).toEqual(before)
  })

  it('does not touch a folder with other files in it', () => {
    mkdirSync(at('mine'))
    writeFileSync(at('mine', 'notes.txt'), 'mine')
    const { code, stderr } = run([...compileNet, '-o', 'mine', '--no-verify'])
    expect(code).toBe(2)
    expect(stderr).toMatch('notes.txt')
    expect(readdirSync(at('mine'))).toEqual(['notes.txt'])
  })

  it('says that the place is taken before it reads the model', () => {
    mkdirSync(at('taken'))
    writeFileSync(at('taken', 'mine'), '')
    const ran = run([...compileNet, '--progress', '-o', 'taken'])
    expect([ran.code, ran.stderr]).toEqual([2, expect.stringMatching(/^error: \S+taken: .* other files: mine\./)])
  })

  it("does not touch someone's model beside a file that is called like a manifest", () => {
    mkdirSync(at('theirs'))
    writeFileSync(at('theirs', 'chasec.json'), '{ "masks": "masks.safetensors" }')
    writeModel(at('theirs', 'model.onnx'), net())
    const before = contentOf(at('theirs'))
    const { code, stderr } = run([...compileNet, '-o', 'theirs', '--no-verify'])
    expect(code).toBe(2)
    expect(stderr).toMatch('other files: chasec.json, model.onnx')
    expect(contentOf(at('theirs'))).toEqual(before)
  })

  it('leaves a whole package or none when it is interrupted', async () => {
    for (const milliseconds of [100, 200, 300, 400, 500, 700]) {
      await interrupted([...compileNet, '--no-verify', '-o', 'cut'], folder, milliseconds)
      const names = readdirSync(folder)
      if (names.includes('cut')) expect(run(['verify', 'cut', 'cut']).code).toBe(0)
      expect(names.filter((name) => name.startsWith('.'))).toEqual([])
      rmSync(at('cut'), { recursive: true, force: true })
    }
  })

  it('says nothing with --quiet but what --json asks for and why nothing was written', () => {
    const args = ['compile', 'net.onnx', '--masks', 'masks.safetensors', '-o', 'quiet', '--progress', '-q']
    expect(run(args)).toEqual({ code: 0, stdout: '', stderr: '' })
    const asked = run([...args, '--json'])
    expect([asked.code, asked.stderr]).toEqual([0, ''])
    expect(json(asked)).toMatchObject({ verification: { equal: true } })
    const refused = run([...args, '--tolerance', '0'])
    expect([refused.code, refused.stdout]).toEqual([1, ''])
    expect(refused.stderr).toMatch(/^error: different: .*Nothing was written\./)
    const wrong = run(['inspect', 'none.onnx', '--quiet'])
    expect([wrong.code, wrong.stdout]).toEqual([2, ''])
    expect(wrong.stderr).toMatch('error: <model>: expected a model that exists')
    // Of a comparison the exit code is the answer.
    expect(run(['verify', 'net.onnx', 'quiet', '-q'])).toEqual({ code: 1, stdout: '', stderr: '' })
  })

  it('prints nothing but JSON on stdout with --json, progress on stderr with --progress', () => {
    const ran = run([...compileNet, '-o', 'out', '--json', '--progress'])
    expect(ran.code).toBe(0)
    expect(json(ran)).toMatchObject({
      package: { directory: 'out' },
      verification: { equal: true },
      report: {
        target: 'cpu',
        layers: [
          { layer: 'conv0', outputs: { before: 16, after: 8 }, stays: [] },
          { layer: 'conv1', inputs: { before: 16, after: 8 } },
        ],
      },
    })
    expect(ran.stderr).toMatch('compiling: channel-elimination')
    expect(ran.stderr).toMatch('verifying')
  })

  it('writes a note down', () => {
    expect(run([...compileNet, '-o', 'noted', '--note', 'From <run 7>.']).code).toBe(0)
    expect(JSON.parse(readFileSync(at('noted', 'chasec.json'), 'utf8'))).toMatchObject({ note: 'From <run 7>.' })
    expect(readFileSync(at('noted', 'report.html'), 'utf8')).toMatch('From &lt;run 7>.')
  })

  it('puts weights beside the model when asked, and the package still runs', () => {
    expect(run([...compileNet, '-o', 'external', '--external-data']).code).toBe(0)
    expect(contentOf(at('external')).has('model.onnx_data')).toBe(true)
    expect(run(['verify', 'external', 'external']).code).toBe(0)
  })

  it('counts multiplications for the sizes given', () => {
    const macs = (shape: string): unknown => {
      const ran = run(['compile', 'net.onnx', '--no-verify', '-o', 'sized', '--json', '--shape', shape])
      return json(ran)
    }
    // 8 x 8 positions, 9 kernel positions, 3 x 16 and 16 x 4 channels.
    const one = 64 * 9 * (3 * 16 + 16 * 4)
    expect(macs('N=1')).toMatchObject({ report: { before: { macs: one }, sizes: { N: 1 } } })
    expect(macs('x=5,3,8,8')).toMatchObject({ report: { before: { macs: 5 * one }, sizes: { N: 5 } } })
  })

  it('tells why the channels of a value, a layer or a weight stay', () => {
    const why = (name: string): string => run([...compileAnySize, '--why', name]).stdout
    for (const name of ['relu0', 'conv1', 'b.weight']) {
      expect(why(name)).toMatch(/relu0 .*axis 1: 9 channels, 8 needed/)
      expect(why(name)).toMatch(/carries the constants that meet the padding of Conv conv1/)
    }
    const unknown = run([...compileNet, '--no-verify', '-o', 'out', '--why', 'relu'])
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toMatch('relu0')
  })

  it('keeps measurements out of the package unless asked', () => {
    const text = (name: string): string => readFileSync(at('timed', name), 'utf8')
    expect(run([...compileNet, '-o', 'timed']).code).toBe(0)
    expect(text('chasec.json')).not.toMatch('relativeError')
    expect(run([...compileNet, '-o', 'timed', '--report-timings']).code).toBe(0)
    expect(text('chasec.json')).toMatch('relativeError')
    expect(text('report.html')).toMatch('the largest difference')
  })
})

describe('compile --float16', () => {
  it('writes half the bytes, keeps inputs and outputs, and says by how much it is off', () => {
    expect(run([...compileNet, '-o', 'single']).code).toBe(0)
    const { code, stdout, stderr } = run([...compileNet, '-o', 'half', '--float16'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch('half precision, lossy: Outputs differ')
    const manifest: unknown = JSON.parse(readFileSync(at('half', 'chasec.json'), 'utf8'))
    expect(manifest).toMatchObject({
      verification: { equal: true },
      float16Error: { inputs: 'random', outputs: [{ nonFinite: 0 }] },
      report: { float16: { keepsIoTypes: true, nodes: { float32: 0 } } },
    })
    expect(readFileSync(at('half', 'report.html'), 'utf8')).toMatch('Before it was changed to half precision')
    const bytes = (folder: string): number => statSync(at(folder, 'model.onnx')).size
    expect(bytes('half')).toBeLessThan(0.75 * bytes('single'))
    // Of the same types, and near.
    expect(run(['verify', 'single', 'half', '--tolerance', '0.01']).code).toBe(0)
    expect(run(['verify', 'single', 'half', '--tolerance', '1e-6']).code).toBe(1)
  })

  it('writes the same bytes again', () => {
    expect(run([...compileNet, '-o', 'half-again', '--float16']).code).toBe(0)
    expect(contentOf(at('half-again'))).toEqual(contentOf(at('half')))
  })

  it('changes inputs and outputs too when asked, and keeps layers by name', () => {
    const { code, stdout } = run([
      ...compileNet,
      '-o',
      'half-io',
      '--float16',
      '--float16-io',
      '--keep-float32',
      'Relu',
    ])
    expect(code).toBe(0)
    expect(stdout).toMatch('inputs and outputs in float16')
    expect(stdout).toMatch('its name was given')
    expect(stdout).toMatch('half precision, lossy: Outputs differ')
    expect(run(['verify', 'single', 'half-io']).stderr).toMatch('float16')
  })

  it('refuses a name that nothing has, and what only goes with it', () => {
    const unknown = run([...compileNet, '-o', 'none', '--float16', '--keep-float32', 'Relo'])
    expect(unknown.code).toBe(2)
    expect(unknown.stderr).toMatch(/--keep-float32: .*Relo.*Relu/)
    expect(run([...compileNet, '-o', 'none', '--float16-io']).code).toBe(2)
    expect(existsSync(at('none'))).toBe(false)
  })

  it('writes nothing and says no where half precision has no room for what the model computes', () => {
    const model = buildGraph({ x: [2, 8] }, (b) => {
      const thousands = b.floats(
        'thousands',
        Array.from({ length: 64 }, (_, i) => 1000 + i),
        [8, 8],
      )
      const first = b.op(ops.Relu, [b.op(ops.MatMul, ['x', thousands])])
      return [b.op(ops.MatMul, [first, thousands])]
    })
    writeModel(at('large.onnx'), model)
    const { code, stdout } = run(['compile', 'large.onnx', '-o', 'none', '--float16'])
    expect(code).toBe(1)
    expect(stdout).toMatch('is not finite where it was')
    expect(stdout).toMatch('--keep-float32')
    expect(existsSync(at('none'))).toBe(false)
    expect(run(['compile', 'large.onnx', '-o', 'kept', '--float16', '--keep-float32', 'MatMul']).code).toBe(0)
  })
})

describe('what a user can get wrong is exit code 2 and a sentence', () => {
  it.each<readonly [string, ReadonlyArray<string>, RegExp]>([
    ['an unknown command', ['compress'], /expected one of compile, .*, found compress/],
    ['an unknown option', [...compileNet, '-o', 'bad', '--fast'], /--fast: expected an option of chasec compile/],
    ['a missing output', compileNet, /--output: expected <folder>, found nothing/],
    [
      'a target that does not exist',
      [...compileNet, '-o', 'bad', '--target', 'tpu'],
      /--target: expected one of cpu, cuda, webgpu, found tpu/,
    ],
    ['a shape without a size', [...compileNet, '-o', 'bad', '--shape', 'N'], /Write it like N=4/],
    ['a dimension that does not exist', [...compileNet, '-o', 'bad', '--shape', 'M=4'], /open dimension.*N.*x/],
    ['sizes that do not fit', [...compileNet, '-o', 'bad', '--shape', 'x=1,4,8,8'], /the size 3 along axis 1/],
    [
      'a model that does not exist',
      ['compile', 'nothing.onnx', '-o', 'bad'],
      /<model>: expected a model that exists, found nothing\.onnx/,
    ],
    ['a model that is none', ['compile', 'masks.safetensors', '-o', 'bad'], /error: .*onnx/i],
    ['masks that do not exist', ['compile', 'net.onnx', '--masks', 'none.npz', '-o', 'bad'], /none\.npz/],
    [
      'masks that are none',
      ['compile', 'net.onnx', '--masks', 'net.onnx', '-o', 'bad'],
      /safetensors, npz or a PyTorch checkpoint/,
    ],
    ['a fraction above 1', ['prune', 'net.onnx', '--channels', '40', '-o', 'bad'], /from 0 to 1/],
    ['a model to measure that does not exist', ['bench', 'nothing.onnx'], /nothing\.onnx/],
  ])('%s', (_, args, message) => {
    const plain = run(args)
    expect(plain.code).toBe(2)
    expect(plain.stdout).toBe('')
    expect(plain.stderr).toMatch(message)
    const machine = run([...args, '--json'])
    expect(machine.code).toBe(2)
    expect(machine.stderr).toBe('')
    expect(json(machine)).toMatchObject({
      error: { _tag: expect.any(String), subject: expect.any(String), help: expect.any(String) },
    })
    expect(readdirSync(folder)).not.toContain('bad')
  })

  it('a mask for a weight that does not exist names the closest ones', () => {
    writeMasks(at('wrong.safetensors'), new Map([...netMasks()].map(([, mask]) => ['a.wieght', mask])))
    const { code, stderr } = run(['compile', 'net.onnx', '--masks', 'wrong.safetensors', '-o', 'bad'])
    expect(code).toBe(2)
    expect(stderr).toMatch('a.weight')
  })
})

describe('names made to drive a terminal', () => {
  it('are escaped on stdout, on stderr, in JSON and in the package', () => {
    const name = 'w\x1b[2J\x9b31m\u202egpj'
    const graph = buildGraph({ x: ['N', 4] }, (b) => [b.op(ops.MatMul, ['x', b.weight(name, [4, 4])])])
    writeModel(at('hostile.onnx'), graph)
    const raw = /(?![\t\n])[\p{Control}\u202a-\u202e\u2028\u2066-\u2069]/u
    for (const args of [
      ['compile', 'hostile.onnx', '-o', 'hostile', '--why', name],
      ['compile', 'hostile.onnx', '-o', 'hostile', '--json'],
      ['compile', 'hostile.onnx', '-o', 'hostile', '--masks', `no${name}`],
      ['inspect', 'hostile.onnx'],
      [`no${name}`],
    ]) {
      const { stdout, stderr } = run(args)
      expect(`${stdout}${stderr}`).not.toBe('')
      expect(`${stdout}${stderr}`).not.toMatch(raw)
    }
    for (const file of ['chasec.json', 'report.html']) {
      expect(readFileSync(at('hostile', file), 'utf8')).not.toMatch(raw)
    }
    expect(readFileSync(at('hostile', 'chasec.json'), 'utf8')).toMatch(JSON.stringify(name).slice(1, 8))
  })
})

describe('verify', () => {
  it('finds a package that writing had put aside when it was ended', () => {
    expect(run([...compileNet, '-o', 'aside']).code).toBe(0)
    renameSync(at('aside'), at('.aside.chasec-old-1-0123456789ab-0123456789ab'))
    expect(run(['verify', 'net.onnx', 'aside']).code).not.toBe(2)
    expect(contentOf(at('aside')).has('model.onnx')).toBe(true)
  })
  it('says no with exit code 1 when two models differ', () => {
    writeModel(at('a.onnx'), net())
    expect(run([...compileNet, '-o', 'b']).code).toBe(0)
    const ran = run(['verify', 'a.onnx', 'b', '--json'])
    expect(ran.code).toBe(1)
    expect(json(ran)).toMatchObject({ equal: false })
    expect(run(['verify', 'a.onnx', 'b']).stdout).toMatch('different: max relative error')
  })
})

describe('prune', () => {
  it('writes masks with which compiling removes channels', () => {
    const ran = run(['prune', 'net.onnx', '--channels', '0.5', '-o', 'pruned.safetensors', '--json'])
    expect(ran.code).toBe(0)
    expect(json(ran)).toMatchObject({ removed: 8, groups: [{ channels: 16, removed: 8 }] })
    const compiled = run(['compile', 'net.onnx', '--masks', 'pruned.safetensors', '-o', 'pruned', '--json'])
    expect(json(compiled)).toMatchObject({ report: { layers: [{ outputs: { after: 8 } }, { inputs: { after: 8 } }] } })
  })

  it('takes a budget, which compiling keeps', () => {
    const ran = run(['prune', 'net.onnx', '--macs', '0.6', '-o', 'budget.safetensors'])
    expect(ran.stdout).toMatch(/^With [\d.]+ % of the channels gone, compiling leaves [\d.]+ k multiply-accumulates/m)
    expect(run(['compile', 'net.onnx', '--masks', 'budget.safetensors', '-o', 'budget']).code).toBe(0)
    const again = run(['prune', 'net.onnx', '--macs', '0.6', '-o', 'budget.safetensors', '--force', '--json'])
    expect(json(again)).toMatchObject({ bytes: statSync(at('budget/model.onnx')).size })
    const small = run(['prune', 'net.onnx', '--bytes', '0.5kB', '-o', 'never.safetensors'])
    expect([small.code, small.stderr]).toEqual([2, expect.stringContaining('bytes left at least. Allow more')])
    expect(existsSync(at('never.safetensors'))).toBe(false)
  })

  it('masks single weights by what layers read on a calibration set, and keeps the statistics', () => {
    const values = Array.from({ length: 2 * 3 * 8 * 8 }, (_, i) => ((i * 37) % 101) / 50 - (i % 3))
    const { bytes } = tensorOf('float32', [2, 3, 8, 8], values)
    writeFileSync(at('seen.npy'), npy(npyHeader("'<f4'", '(2, 3, 8, 8)'), [...bytes]))
    const how = ['prune', 'net.onnx', '--sparsity', '0.5', '--score', 'wanda']
    const dry = run([
      ...how,
      '--calibrate',
      'seen.npy',
      '--statistics',
      'seen-by-layers',
      '-o',
      'by-weight.safetensors',
      '--dry-run',
    ])
    expect([dry.code, dry.stderr, dry.stdout]).toEqual([
      0,
      '',
      expect.stringMatching(/would have been seen-by-layers \(.*\), by-weight.safetensors \(/),
    ])
    expect([existsSync(at('seen-by-layers')), existsSync(at('by-weight.safetensors'))]).toEqual([false, false])
    const ran = run([
      ...how,
      '--calibrate',
      'seen.npy',
      '--statistics',
      'seen-by-layers',
      '-o',
      'by-weight.safetensors',
    ])
    expect([ran.code, ran.stdout]).toEqual([0, expect.stringMatching(/^496 of 1.01 k weights masked/m)])
    expect(run([...how, '--calibrate', 'seen-by-layers', '-o', 'again.safetensors']).code).toBe(0)
    expect(readFileSync(at('again.safetensors'))).toEqual(readFileSync(at('by-weight.safetensors')))
    expect(run(['compile', 'net.onnx', '--masks', 'by-weight.safetensors', '-o', 'of-weights']).code).toBe(0)
    const refined = ['prune', 'net.onnx', '--pattern', '2:4', '--keep', 'a.weight', '--refine', 'dsnot', '--json']
    expect(json(run([...refined, '--calibrate', 'seen-by-layers', '-o', 'refined.safetensors']))).toMatchObject({
      weights: 576,
      masked: 288,
      kept: [{ reason: 'it was asked to stay whole' }],
    })
    const channels = [
      'prune',
      'net.onnx',
      '--channels',
      '0.5',
      '--score',
      'wifv',
      '--calibrate',
      'seen-by-layers',
      '--json',
    ]
    expect(json(run([...channels, '-o', 'by-variance.safetensors']))).toMatchObject({ removed: 8 })
  })

  it('divides a sparsity among layers by what they do on a calibration set, and masks blocks', () => {
    const how = ['prune', 'net.onnx', '--sparsity', '0.5', '--calibrate', 'seen.npy', '--json', '-o']
    const ecoflap = json(
      run([...how, 'ecoflap.safetensors', '--score', 'wanda', '--ratios', 'ecoflap', '--most', '0.9']),
    )
    expect(ecoflap).toMatchObject({ division: { loss: 'mean-square', samples: 2, layers: [{}, {}] } })
    const lpvit = ['--score', 'taylor', '--ratios', 'lpvit', '--block', '4x4']
    const blocks = json(run([...how, 'blocks.safetensors', ...lpvit]))
    expect(blocks).toMatchObject({ division: { loss: 'mean-square', samples: 2 } })
    for (const file of ['ecoflap.safetensors', 'blocks.safetensors'])
      expect(run(['compile', 'net.onnx', '--masks', file, '-o', `of-${file}`]).code).toBe(0)
    const inWords = how.filter((word) => word !== '--json')
    const told = run([...inWords, 'even.safetensors', '--score', 'taylor'])
    expect([told.code, told.stdout]).toEqual([0, expect.stringMatching(/^504 of 1.01 k weights masked/m)])
    for (const [args, message] of [
      [['--ratios', 'ecoflap', '--power'], /--power: expected --ratios lpvit, found --ratios ecoflap/],
      [['--block', '4'], /--block.*: expected RxC, counts of at least 1/],
      [['--ratios', 'ecoflap', '--most', '0.4'], /most: expected a fraction from the sparsity, 0.5, to 1, found 0.4/],
    ] as const) {
      const ran = run([...inWords, 'nothing.safetensors', ...args])
      expect([ran.code, ran.stderr]).toEqual([2, expect.stringMatching(message)])
    }
    const blind = run(['prune', 'net.onnx', '--sparsity', '0.5', '--ratios', 'lpvit', '-o', 'nothing.safetensors'])
    expect([blind.code, blind.stderr]).toEqual([
      2,
      expect.stringMatching(/--ratios lpvit: expected --calibrate beside it/),
    ])
    expect(existsSync(at('nothing.safetensors'))).toBe(false)
  })

  it('finds the sparsity at which a model breaks', () => {
    const swept = run([
      'knee',
      'net.onnx',
      '--calibrate',
      'seen.npy',
      '--levels',
      '0,0.9',
      '--score',
      'wanda',
      '--json',
    ])
    expect(json(swept)).toMatchObject({ samples: 2, by: 'agreement', points: [{ lost: 0 }, { level: 0.9 }] })
    const told = run(['knee', 'net.onnx', '--calibrate', 'seen.npy', '--levels', '0,0.9'])
    expect([told.code, told.stdout]).toEqual([
      0,
      expect.stringMatching(/^Essential sparsity: 0 % .* It breaks behind 0 %/m),
    ])
    const kept = run(['knee', 'net.onnx', '--calibrate', 'seen-by-layers'])
    expect([kept.code, kept.stderr]).toEqual([2, expect.stringMatching(/seen-by-layers: expected files of arrays/)])
  })

  it('says which score, file or statistics are missing or do not fit', () => {
    writeFileSync(at('wrong.npy'), npy(npyHeader("'<f4'", '(1, 3)'), new Array<number>(12).fill(0)))
    const how = ['prune', 'net.onnx', '-o', 'nothing.safetensors', '--sparsity', '0.5', '--score']
    for (const [args, message] of [
      [['wifn'], /--score: expected a score of weights: magnitude, wanda, taylor, found wifn/],
      [['wanda'], /--score wanda: expected --calibrate beside it, found none/],
      [['magnitude', '--refine', 'dsnot'], /--refine dsnot: expected --calibrate beside it, found none/],
      [
        ['wanda', '--calibrate', 'wrong.npy'],
        /array x of wrong.npy: expected float32\[N,3,8,8\], found float32\[1,3\]/,
      ],
      [
        ['wanda', '--calibrate', 'masks.safetensors'],
        /file of statistics: expected the format chasec activation statistics 1/,
      ],
    ] as const) {
      const ran = run([...how, ...args])
      expect([ran.code, ran.stderr]).toEqual([2, expect.stringMatching(message)])
    }
    expect(existsSync(at('nothing.safetensors'))).toBe(false)
  })

  it('replaces a file only with --force, and never the model', () => {
    const args = ['prune', 'net.onnx', '--channels', '0.25', '-o', 'once.safetensors']
    expect(run(args).code).toBe(0)
    const before = readFileSync(at('once.safetensors'))
    expect(run([...args, '--score', 'random']).code).toBe(2)
    expect(readFileSync(at('once.safetensors'))).toEqual(before)
    expect(run([...args, '--force']).code).toBe(0)
    expect(readFileSync(at('once.safetensors'))).toEqual(before)
    expect(run(['prune', 'net.onnx', '--channels', '0.25', '-o', 'net.onnx', '--force']).code).toBe(2)
    expect(readdirSync(folder).filter((name) => name.startsWith('.once'))).toEqual([])
  })

  it.each(['masks.npz', 'masks.PT', 'net.onnx'])(
    'does not call safetensors %s, by which others would read it',
    (name) => {
      const { code, stderr } = run(['prune', 'net.onnx', '--channels', '0.25', '-o', name, '--force'])
      expect([code, stderr]).toEqual([2, expect.stringContaining('end it in .safetensors')])
      expect(existsSync(at(name))).toBe(name === 'net.onnx')
    },
  )

  it('takes a file without a mask, and says so', () => {
    writeMasks(at('empty.safetensors'), new Map())
    const ran = run(['compile', 'net.onnx', '--masks', 'empty.safetensors', '--no-verify', '-o', 'unmasked'])
    expect([ran.code, ran.stdout]).toEqual([
      0,
      expect.stringMatching(/^There are no masks in the file: nothing is masked\./m),
    ])
  })

  it('says that a file is in the way before it reads the model, and that two would be one', () => {
    writeFileSync(at('in-the-way'), 'mine')
    const args = ['prune', 'net.onnx', '--sparsity', '0.5', '--score', 'wanda', '--calibrate', 'net.onnx', '--progress']
    for (const files of [
      ['-o', 'in-the-way'],
      ['-o', 'new.safetensors', '--statistics', 'in-the-way'],
    ]) {
      const ran = run([...args, ...files])
      expect(ran.code).toBe(2)
      expect(ran.stderr).toMatch(/^error: in-the-way: .* Give --force to replace it\.\n$/)
    }
    const one = run([...args, '-o', 'one', '--statistics', './one', '--force'])
    expect([one.code, one.stderr]).toEqual([2, expect.stringMatching(/^error: --statistics \.\/one: /)])
    expect(readFileSync(at('in-the-way'), 'utf8')).toBe('mine')
  })
})

describe('inspect', () => {
  it('shows density, constant channels, magnitudes and what would go', () => {
    const { code, stdout } = run(['inspect', 'net.onnx', '--masks', 'masks.safetensors'])
    expect(code).toBe(0)
    expect(stdout).toMatch('inputs: x float32[N,3,8,8]')
    expect(stdout).toMatch(/conv0 +Conv +16x3x3x3 +50 % .*█.*16 → 8/)
    const machine = run(['inspect', 'net.onnx', '--masks', 'masks.safetensors', '--json'])
    expect(json(machine)).toMatchObject({
      inspection: { layers: [{ layer: 'conv0', density: 0.5, constant: '0-7', dead: '' }, { density: 1 }] },
      report: { layers: [{ outputs: { before: 16, after: 8 } }, {}] },
    })
  })
})

describe('bench', () => {
  it('measures models in turn and compares them with the first', () => {
    const ran = run(['bench', 'net.onnx', 'net.onnx', '--repeats', '2', '--seconds', '0', '--batch', '2', '--json'])
    expect(ran.code).toBe(0)
    expect(json(ran)).toMatchObject({ measurements: [{ batch: 2, speedup: { median: 1 } }, { name: 'net.onnx' }] })
    expect(run(['bench', 'net.onnx', '--repeats', '1', '--seconds', '0']).stdout).toMatch(/per run +.*items/)
  })

  it('profiles training steps by layer, and says why a model cannot be trained', () => {
    const ran = run(['bench', 'net.onnx', '--training', '--repeats', '1', '--batch', '2', '--json'])
    expect(ran.code).toBe(2)
    expect(JSON.parse(ran.stdout)).toMatchObject({ error: { _tag: 'UnsupportedTraining', subject: 'first output' } })
    expect(run(['bench', 'net.onnx', '--backend', 'wasm']).stderr).toMatch(/--training/)
  })
})

describe('the environment', () => {
  const compileTo = [...compileNet, '--no-verify', '-o', 'out']

  it('CHASEC_DEBUG lists passes on stderr, and dumps graphs at level 3', () => {
    const plain = run(compileTo)
    const debugged = run(compileTo, { CHASEC_DEBUG: '3' })
    expect(debugged.stdout).toBe(plain.stdout)
    expect(debugged.stderr).toMatch(/^01 scalarise-sequences +/m)
    expect(debugged.stderr).toMatch(/channel-elimination .* nodes/)
    const dumps = readdirSync(at('chasec-dump'))
    expect(dumps).toContain('00-input.ir')
    expect(dumps.some((name) => /^\d\d-channel-elimination\.ir$/.test(name))).toBe(true)
  })

  it('CHASEC_STOP_AFTER ends the passes early, and the result is still right', () => {
    const ran = run([...compileNet, '-o', 'early', '--json'], { CHASEC_STOP_AFTER: '1' })
    expect(ran.code).toBe(0)
    expect(json(ran)).toMatchObject({ verification: { equal: true } })
    expect(readFileSync(at('early', 'chasec.json'), 'utf8')).not.toMatch('channel-elimination": 1')
  })

  it('TMPDIR that is not there is told of; nothing is written', () => {
    const ran = run([...compileNet, '-o', 'no-temporary'], { TMPDIR: at('none') })
    expect(ran.code).toBe(2)
    expect(ran.stderr).toMatch(/temporary files: .* found \S+none: no such file or directory\. Set TMPDIR/)
    expect(existsSync(at('no-temporary'))).toBe(false)
  })

  it('CHASEC_WHY is --why', () => {
    expect(run(compileAnySize, { CHASEC_WHY: 'relu0' }).stdout).toMatch('carries the constants')
  })

  it('colours only when forced, off a terminal', () => {
    const coloured = '\u001b['
    expect(run(compileTo).stdout).not.toMatch(coloured)
    expect(run(compileTo, { FORCE_COLOR: '1' }).stdout.includes(coloured)).toBe(true)
    expect(run(compileTo, { FORCE_COLOR: '1', NO_COLOR: '1' }).stdout.includes(coloured)).toBe(true)
  })
})
