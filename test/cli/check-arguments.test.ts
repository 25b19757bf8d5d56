/** All that is wrong with a command line, said at once and in the words of its options. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readEnvironment } from '../../src/cli/environment.ts'
import { runProgram } from '../../src/cli/program.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import { net, writeModel } from './nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-arguments-'))
const model = join(folder, 'model.onnx')

beforeAll(() => writeModel(model, net()))
afterAll(() => rmSync(folder, { recursive: true }))

/** Exit code, and what the two streams got, on a terminal that differs in something. */
const runOn = async (different: Partial<Terminal>, ...args: ReadonlyArray<string>) => {
  let [stdout, stderr] = ['', '']
  const terminal: Terminal = {
    print: (text) => {
      stdout += `${text}\n`
    },
    note: (text) => {
      stderr += `${text}\n`
    },
    showProgress: () => undefined,
    interactive: false,
    style: plainStyle,
    noteStyle: plainStyle,
    environment: readEnvironment({}),
    ...different,
  }
  const code = await runProgram(args, terminal)
  return { code, stdout, stderr }
}

const run = (...args: ReadonlyArray<string>) => runOn({}, ...args)

/** The problems of a command line that is refused, one a line. */
const problems = async (...args: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const { code, stdout, stderr } = await run(...args)
  expect([code, stdout]).toEqual([2, ''])
  const lines = stderr.trimEnd().split('\n')
  if (lines.length === 1) return lines.map((line) => line.replace('error: ', ''))
  expect(lines[0]).toBe(`error: command line: expected one that can be followed, found ${lines.length - 1} problems:`)
  return lines.slice(1).map((line) => line.slice(2))
}

describe('a command line', () => {
  it('is told all its problems at once', async () => {
    expect(await problems('compile', model, '--taget', 'cuda', '--provider', 'gpu', '--tolerance', '2')).toEqual([
      '--taget: expected an option of chasec compile, found none of that name. Did you mean --target?',
      '--provider: expected one of cpu, cuda, webgpu, auto, found gpu. Did you mean cuda?',
      '--tolerance: expected a number from 0 to 0.999999, found 2.',
      '--output: expected <folder>, found nothing. Where the package goes; an earlier package there is replaced as a whole.',
    ])
  })

  it.each([
    [['complie', 'x'], 'Did you mean compile?'],
    [['nonsense'], 'chasec --help says what each does.'],
    [['compile', 'M', '-o', 'out', '--masks', 'zeroes'], 'Did you mean zeros?'],
    [['compile', 'M', '-o', 'out', '--target', 'cdua'], 'Did you mean cuda?'],
    [['prune', 'M', '--channels', '0.5', '-o', 'x', '--score', 'll'], 'Did you mean l1?'],
    [
      ['prune', 'M', '-o', 'x'],
      'how much goes: expected one of --channels, --macs, --params, --bytes, --latency, --sparsity, --pattern, found nothing.',
    ],
    [['knee', 'M'], '--calibrate: expected <data>, found nothing.'],
    [['knee', 'M', '--calibrate', '.', '--levels', '0.5,0.4'], 'Write them like 0.5,0.7,0.9.'],
    [['prune', 'M', '--pattern', '4:2', '-o', 'x'], '--pattern: expected N:M with N from 1 to less than M, found 4:2.'],
    [['prune', 'M', '--sparsity', '.5', '-o', 'x', '--scope', 'all'], '--scope: expected --channels or --macs'],
    [
      ['prune', 'M', '--sparsity', '.5', '-o', 'x', '--statistics', 's'],
      '--statistics: expected --calibrate beside it',
    ],
    [
      ['prune', 'M', '--sparsity', '.5', '-o', 'x', '--calibrate', 'cifar10:'],
      'DIR is the folder that holds the files.',
    ],
    [
      ['prune', 'M', '--sparsity', '.5', '-o', 'x', '--calibrate', 'none.npz'],
      '--calibrate: expected a file or folder that exists',
    ],
    [['prune', 'M', '--macs', '1', '--bytes', '1', '-o', 'x'], 'found --macs and --bytes. Leave all but one out.'],
    [['prune', 'M', '--macs', '0', '-o', 'x'], '--macs: expected a number of more than 0 and at most 1, found 0.'],
    [['prune', 'M', '--bytes', '4 MBit', '-o', 'x'], 'Write it like 4MB, 500kB or 3.5MiB.'],
    [['train', '-o', 'r', '--model', 'resnet21'], 'Did you mean resnet20?'],
    [['train', '-o', 'r', '--data', 'cifar:DIR'], 'Did you mean cifar10?'],
    [['train', '-o', 'r', '--data', 'cifra100:DIR'], 'Did you mean cifar100?'],
    [['train', '-o', 'r', '--method', 'riggle'], 'Did you mean rigl?'],
    [['train', '-o', 'r', '--preset', 'chase-cifar'], 'Did you mean chase-cifar-resnet50?'],
  ])('%j is asked back', async (args, answer) => {
    const [problem, ...others] = await problems(...args.map((arg) => (arg === 'M' ? model : arg)))
    expect(others).toEqual([])
    expect(problem).toMatch(answer)
  })

  it('names all files that are not there, and the one in the same folder that is called alike', async () => {
    const other = join(folder, 'modle.onnx')
    expect(await problems('inspect', other, '--masks', 'none.npz', '--weights', 'none.pt')).toEqual([
      '--masks: expected a file of masks that exists, or zeros, found none.npz. Check the path.',
      '--weights: expected a file that exists, found none.pt. Check the path.',
      `<model>: expected a model that exists, found ${other}. Did you mean ${model}?`,
    ])
    expect(await problems('inspect', join(folder, 'none', 'x.onnx'))).toEqual([
      `<model>: expected a model that exists, found ${join(folder, 'none', 'x.onnx')}. There is no folder ${join(folder, 'none')}.`,
    ])
  })

  it('is told of arguments that are missing or too many, and of options that need another', async () => {
    expect(await problems('verify')).toEqual([
      '<reference>: expected ONNX file, or folder with a model.onnx, found nothing. Usage: chasec verify [options] <reference> <candidate>',
      '<candidate>: expected the model to compare with it, found nothing. Usage: chasec verify [options] <reference> <candidate>',
    ])
    expect(await problems('inspect', model, 'b', 'c')).toEqual([
      'chasec inspect: expected 1 argument, found b c besides. Put a name with spaces into quotes, and -- before one that begins with -.',
    ])
    expect(await problems('inspect', model, '--shape')).toEqual([
      expect.stringMatching(/^--shape: expected <name=size>, found nothing\. /),
    ])
    expect(await problems('inspect', model, '--mask-map', model)).toEqual([
      '--mask-map: expected --masks beside it, found it alone. Give --masks too, or leave --mask-map out.',
    ])
    expect(await problems('--json=1')).toEqual([
      'command: expected a name, or one of --version, --help, found --json=1. The options of a command come behind it: chasec COMMAND --help lists them.',
    ])
  })

  it('does not take what follows an option that nobody knows for an argument', async () => {
    expect(await problems('inspect', model, '--nonsense', 'value')).toEqual([
      '--nonsense: expected an option of chasec inspect, found none of that name. chasec inspect --help lists them.',
    ])
    expect(await problems('inspect', '--mask=zeros', model)).toEqual([
      '--mask: expected an option of chasec inspect, found none of that name. Did you mean --masks?',
    ])
  })

  it('is read as before where nothing is wrong', async () => {
    const usual = await run('inspect', model, '--masks', 'zeros', '--shape', 'N=2', '--shape', 'x=2,3,8,8')
    expect(usual).toMatchObject({ code: 0, stderr: '' })
    expect(await run('inspect', '--shape=N=2', '--shape', 'x=2,3,8,8', '--masks=zeros', '--', model)).toEqual(usual)
    const masks = join(folder, 'masks.safetensors')
    expect(await run('prune', model, '--channels=.5', `-o${masks}`)).toMatchObject({ code: 0, stderr: '' })
  })

  it('gives help where it is asked for, whatever else is there', async () => {
    expect(await run('compile', '--nonsense', '--help')).toMatchObject({ code: 0, stderr: '' })
    expect((await run('help', 'compile')).stdout).toMatch('Usage: chasec compile')
    expect((await run('--version')).code).toBe(0)
  })

  it('is refused in JSON too', async () => {
    const { code, stdout, stderr } = await run('compile', model, '--json', '--target', 'x')
    expect([code, stderr]).toEqual([2, ''])
    expect(JSON.parse(stdout)).toMatchObject({
      error: { _tag: 'UsageError', subject: 'command line', found: '2 problems' },
    })
  })
})

describe('a training without model, data or method', () => {
  it('is told of all three, in the words of options', async () => {
    const { code, stderr } = await run('train', '-o', join(folder, 'run'), '--density', '0')
    expect(code).toBe(2)
    for (const option of ['--model', '--data', '--method']) expect(stderr).toMatch(`\n  ${option}: expected `)
  })

  it('is told of the option that gave a wrong entry of the recipe', async () => {
    const names = ['--model', 'mlp', '--data', `mnist:${folder}`, '--method', 'set', '--density', '0']
    const { code, stderr } = await run('train', '-o', join(folder, 'run'), ...names)
    expect(code).toBe(2)
    expect(stderr).toMatch('error: --density: expected a number above 0 and at most 1, found 0.')
  })
})

it('files that are read are looked for in their folder only', async () => {
  writeFileSync(join(folder, 'recipe.yaml'), 'epochs: 1')
  const path = join(folder, 'recipe.yml')
  expect(await problems('train', '-o', 'r', '--recipe', path)).toEqual([
    `--recipe: expected a recipe that exists, found ${path}. Did you mean ${join(folder, 'recipe.yaml')}?`,
  ])
})

it('tells what the system refuses where nobody foresaw it, by what was asked of it', async () => {
  const showProgress = (text: string): void => {
    if (text !== '') mkdirSync(folder)
  }
  expect(await runOn({ interactive: true, showProgress }, 'inspect', model)).toEqual({
    code: 2,
    stdout: '',
    stderr: `error: mkdir ${folder}: expected the system to do it, found file already exists. Mend that, then run the command again.\n`,
  })
})
