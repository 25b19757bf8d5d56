/** `chasec sweep` on small real runs: to the end, with failures, killed, interrupted and called again. */
import { cpSync, existsSync, mkdtempSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { chasec, type Ran, started } from './chasec.ts'
import { sweepPlan } from './sweep-plan.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-sweep-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const sweep = (...args: ReadonlyArray<string>): Ran => chasec(['sweep', ...args, '--backend', 'wasm'], { cwd: folder })
const bytes = (...names: ReadonlyArray<string>): string => readFileSync(at(...names), 'base64')

/** Writes a plan of one grid. */
const plan = (name: string, grid: object, more: object = {}): void =>
  writeFileSync(at(name), JSON.stringify(sweepPlan(grid, more)))

const processOf = (to: string, name: string): number => Number(readFileSync(at(to, 'logs', `${name}.process`), 'utf8'))

const isAlive = (id: number): boolean => {
  try {
    process.kill(id, 0)
    return !readFileSync(`/proc/${id}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}

const until = async (holds: () => boolean): Promise<void> => {
  for (let waited = 0; !holds(); waited += 50) {
    if (waited > 60_000) throw new Error('waited for a minute')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

afterAll(() => rmSync(folder, { recursive: true }))

describe('a sweep', () => {
  it('trains all runs, goes on where one fails, and makes a table; called again it does what is left', () => {
    // Nothing would happen in a run of so few steps: chasec train refuses it, when the run is begun.
    plan('plan.json', { method: ['dense', { name: 'set', density: 0.2, every: 5000 }], seed: [1, 2] })
    const first = sweep('plan.json', '-o', 'out', '--jobs', '2', '--measure', '--json')
    expect(first.code).toBe(1)
    const { runs, configurations } = JSON.parse(first.stdout)
    expect(runs.map(({ name, state }: { name: string; state: string }) => [name, state])).toEqual([
      ['dense,seed=1', 'ended, 2 epochs'],
      ['dense,seed=2', 'ended, 2 epochs'],
      ['set,density=0.2,every=5000,seed=1', 'failed, not begun'],
      ['set,density=0.2,every=5000,seed=2', 'failed, not begun'],
    ])
    expect(runs[2].problem).toMatch(/^exit code 2: every of method set: expected an interval within the training/)
    const accuracies = runs.slice(0, 2).map(({ testAccuracy }: { testAccuracy: number }) => testAccuracy)
    const [a, b] = accuracies
    expect(configurations[0]).toMatchObject({ name: 'dense', ended: 2, test: { mean: (a + b) / 2, count: 2 } })
    expect(configurations[0].test.deviation).toBeCloseTo(Math.abs(a - b) / Math.SQRT2, 12)
    expect(configurations[0].measured.throughput.median).toBeGreaterThan(0)
    expect(configurations[1]).toMatchObject({ ended: 0 })
    expect(readFileSync(at('out', 'sweep.html'), 'utf8')).toMatch('4 runs compared')
    expect(JSON.parse(readFileSync(at('out', 'sweep.json'), 'utf8'))).toEqual(JSON.parse(first.stdout))

    // The plan is put right, and has more than before: only what is new is trained.
    plan('plan.json', { method: ['dense', { name: 'set', density: 0.2, every: 2 }], seed: [1] })
    const before = bytes('out', 'runs', 'dense,seed=1', 'package', 'chasec.json')
    const again = sweep('plan.json', '-o', 'out')
    expect([again.code, again.stderr]).toEqual([0, expect.not.stringContaining('dense,seed=1:')])
    expect(again.stdout).toMatch(/^set,density=0.2,every=2,seed=1 +ended, 2 epochs/m)
    expect(bytes('out', 'runs', 'dense,seed=1', 'package', 'chasec.json')).toBe(before)

    // More epochs: runs are made longer; fewer: what is there stays.
    plan('longer.json', { method: ['dense'], seed: [1] }, { epochs: 3 })
    const longer = sweep('longer.json', '-o', 'out')
    expect([longer.code, longer.stderr]).toEqual([0, expect.stringContaining('goes on, at epoch 2 of 3')])
    expect(longer.stdout).toMatch(/^dense,seed=1 +ended, 3 epochs/m)
    const shorter = sweep('plan.json', '-o', 'out')
    expect(shorter.code).toBe(1)
    expect(shorter.stdout).toMatch(
      'dense,seed=1 failed: its folder holds a run of 3 epochs, more than the 2 of the plan',
    )
    plan('other.json', { method: ['dense'], seed: [1] }, { batch: 60 })
    expect(sweep('other.json', '-o', 'out').stdout).toMatch('holds a run of other settings')
  })

  it('trains the runs that are asked for by name, and puts all of the plan into the table', () => {
    plan('some.json', { method: ['dense', { name: 'set', density: 0.2, every: 2 }], seed: [1, 11, 2] })
    const asked = (...texts: ReadonlyArray<string>): string =>
      sweep('some.json', '-o', 'some', '--dry-run', ...texts.flatMap((text) => ['--only', text])).stdout
    const names = (stdout: string): ReadonlyArray<string> => stdout.match(/^(dense|set),\S+/gm) ?? []
    // Whole entries, in any order; what one of the texts says.
    expect(names(asked('seed=1'))).toEqual(['dense,seed=1', 'set,density=0.2,every=2,seed=1'])
    expect(names(asked('seed=2,set', 'dense,seed=11'))).toEqual(['dense,seed=11', 'set,density=0.2,every=2,seed=2'])
    const { code, stdout } = sweep('some.json', '-o', 'some', '--only', 'dense,seed=2', '--json')
    const states = JSON.parse(stdout).runs.map(({ state }: { readonly state: string }) => state)
    expect([code, states]).toEqual([
      0,
      Array.from({ length: 6 }, (_, at) => (at === 2 ? 'ended, 2 epochs' : 'not begun')),
    ])
  })

  it('is what chasec train makes of each run', () => {
    const recipe = at('out', 'recipes', 'dense,seed=2.json')
    const { model, data, trainSize, validationShare } = sweepPlan({}, {})
    const options = ['--train-size', `${trainSize}`, '--validation-share', `${validationShare}`, '--backend', 'wasm']
    const args = ['train', '--model', model, '--data', data, '--recipe', recipe, ...options, '-o', 'alone']
    expect(chasec(args, { cwd: folder }).code).toBe(0)
    expect(bytes('out', 'runs', 'dense,seed=2', 'trained.onnx')).toBe(bytes('alone', 'trained.onnx'))
  })

  it('goes on after it was killed: runs that still run are waited for, those that were killed go on', async () => {
    plan('long.json', { method: ['dense'], seed: [1, 2] }, { epochs: 40 })
    const args = ['sweep', 'long.json', '-o', 'killed', '-j', '2', '--backend', 'wasm', '--checkpoint-every', '4']
    const child = started(args, folder)
    const names = ['dense,seed=1', 'dense,seed=2']
    await until(() => names.every((name) => existsSync(at('killed', 'runs', name, 'checkpoint.safetensors'))))
    child.kill('SIGKILL')
    await child.ended
    const [first = 0, second = 0] = names.map((name) => processOf('killed', name))
    expect([first, second].map(isAlive)).toEqual([true, true])
    process.kill(second, 'SIGKILL')
    await until(() => !isAlive(second))
    const again = started(args, folder)
    await again.says(/dense,seed=1: runs already, as process \d+/)
    // Nobody else takes it in hand meanwhile.
    const other = chasec(args, { cwd: folder })
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringContaining('a sweep that nobody has in hand, found process'),
    ])
    const { code, stderr } = await again.ended
    expect([code, stderr]).toEqual([0, expect.stringMatching(/dense,seed=2: goes on, /)])
    expect(existsSync(at('killed', 'sweep.lock'))).toBe(false)

    const whole = sweep('long.json', '-o', 'whole', '-j', '2')
    expect(whole.code).toBe(0)
    for (const name of names) {
      expect(bytes('killed', 'runs', name, 'trained.onnx')).toBe(bytes('whole', 'runs', name, 'trained.onnx'))
    }
  })

  it('saves and stops on Ctrl-C, and tells of a run whose process is killed', async () => {
    const args = ['sweep', 'long.json', '-o', 'stopped', '-j', '2', '--backend', 'wasm']
    const child = started(args, folder)
    const names = ['dense,seed=1', 'dense,seed=2']
    await until(() => names.every((name) => existsSync(at('stopped', 'runs', name, 'checkpoint.safetensors'))))
    const [first = 0, second = 0] = names.map((name) => processOf('stopped', name))
    process.kill(first, 'SIGKILL')
    await child.says(/dense,seed=1: failed, killed, SIGKILL/)
    child.kill('SIGINT')
    const { code, stdout, stderr } = await child.ended
    expect([code, stderr]).toEqual([130, expect.stringMatching(/dense,seed=2: stopped, at epoch /)])
    expect(stdout).toMatch('Stopped and saved. Go on with: chasec sweep')
    expect(isAlive(second)).toBe(false)
    const { runs } = JSON.parse(readFileSync(at('stopped', 'sweep.json'), 'utf8'))
    expect(runs[0].problem).toMatch(/^killed, SIGKILL/)
    // Making the table trains nothing, and knows what is there.
    const gathered = sweep('long.json', '-o', 'stopped', '--gather')
    expect([gathered.code, gathered.stderr]).toEqual([0, ''])
    expect(gathered.stdout).toMatch(/^dense,seed=2 +at epoch /m)
  })

  it('shows all runs and writes nothing in a dry run', () => {
    const before = readdirSync(folder)
    const dry = sweep('plan.json', '-o', 'dry', '--dry-run')
    expect([dry.code, dry.stderr]).toEqual([0, ''])
    expect(dry.stdout).toMatch(/^set,density=0.2,every=2,seed=1 +not begun$/m)
    expect(dry.stdout).toMatch('2 of 2 runs would be trained')
    expect(readdirSync(folder)).toEqual(before)
    expect(sweep('plan.json', '-o', 'out', '--dry-run').stdout).toMatch('1 of 2 runs would be trained')
  })

  it('refuses what it cannot do, before anything is written', () => {
    const refused = (...args: ReadonlyArray<string>): string => {
      const { code, stdout, stderr } = sweep(...args)
      expect([code, stdout]).toEqual([2, ''])
      return stderr
    }
    mkdirSync(at('mine'))
    writeFileSync(at('mine', 'notes.txt'), 'mine')
    expect(refused('plan.json', '-o', 'mine')).toMatch('a new folder, or one of a sweep, found other files')
    expect(refused('plan.json', '-o', 'none', '--gather')).toMatch('the folder of a sweep, found none')
    expect(refused('plan.json', '-o', 'none', '--only', 'seed=1', '--only', 'seed=5')).toMatch(
      '--only seed=5: expected entries of the name of a run, such as seed=1, found none of 2 runs',
    )
    expect(refused('plan.json', '-o', 'none', '--gather', '--only', 'seed=1')).toMatch('--gather')
    expect(refused('plan.json', '-o', 'plan.json')).toMatch('plan.json')
    writeFileSync(at('broken.yaml'), 'grid: [')
    expect(refused('broken.yaml', '-o', 'none')).toMatch('broken.yaml: expected a plan in JSON or YAML')
    plan('wrong.json', { method: ['sett'], model: ['resnt20', 'no.onnx'] })
    expect(refused('wrong.json', '-o', 'none')).toMatch('Did you mean set?')
    plan('wrong.json', { method: ['set'], model: ['resnt20', 'no.onnx'] })
    const models = refused('wrong.json', '-o', 'none')
    expect(models).toMatch(/2 entries that are wrong/)
    expect(models).toMatch('model: expected a model that exists, found no.onnx')
    expect(refused('plan.json', '-o', 'none', '--slurm-options', '--x')).toMatch('--slurm')
    expect(refused('plan.json', '-o', 'none', '--slurm', '--slurm-options', '"x')).toMatch('a lone quotation mark')
    expect([existsSync(at('none')), readdirSync(at('mine'))]).toEqual([false, ['notes.txt']])
    cpSync(at('plan.json'), at('slurmless.json'))
    const without = chasec(['sweep', 'slurmless.json', '-o', 'slurmless', '--slurm'], {
      cwd: folder,
      env: { PATH: '/nonexistent' },
    })
    expect([without.code, without.stderr]).toEqual([
      2,
      expect.stringContaining('the program sbatch of Slurm, found no such program'),
    ])
  })
})
