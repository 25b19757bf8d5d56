/** `chasec sweep --slurm` against a Slurm of one node; skipped, with the reason, where none can be started. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chasec, type Ran } from './chasec.ts'
import { type Slurm, startSlurm, whyNoSlurm } from './slurm.ts'
import { sweepPlan } from './sweep-plan.ts'

const why = whyNoSlurm()
if (why !== undefined) console.log(`chasec sweep --slurm is not tested: ${why}`)

const folder = mkdtempSync(join(tmpdir(), 'chasec-slurm-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)

describe.skipIf(why !== undefined)('a sweep in Slurm', () => {
  let slurm: Slurm | undefined
  beforeAll(async () => {
    slurm = await startSlurm(at('slurm'))
  })
  afterAll(async () => {
    await slurm?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const sweep = (...args: ReadonlyArray<string>): Ran =>
    chasec(['sweep', 'plan.json', '-o', 'out', '--backend', 'wasm', ...args], {
      cwd: folder,
      ...(slurm === undefined ? {} : { env: slurm.env }),
    })

  const until = async (holds: () => boolean): Promise<void> => {
    for (let waited = 0; !holds(); waited += 250) {
      if (waited > 120_000) throw new Error(`waited for two minutes: ${slurm?.ask('squeue', '--array')}`)
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
  const isIdle = (): boolean => slurm?.ask('squeue', '--noheader') === ''
  const runsOf = ({
    stdout,
  }: Ran): ReadonlyArray<{
    readonly name: string
    readonly state: string
    readonly queued: unknown
    readonly problem?: string
  }> => JSON.parse(stdout).runs

  it('hands over each run once, goes on with what was cancelled, and gathers', async () => {
    writeFileSync(
      at('plan.json'),
      JSON.stringify(
        sweepPlan({ method: ['dense', { name: 'set', density: 0.2, every: 5000 }], seed: [1, 2] }, { epochs: 30 }),
      ),
    )
    const first = sweep('--slurm', '--json', '--slurm-options', '--time=10 --comment="a sweep"')
    expect([first.code, first.stderr]).toEqual([0, expect.stringMatching(/^job \d+: 4 runs handed to Slurm$/m)])
    expect(runsOf(first).every(({ queued }) => queued !== null)).toBe(true)
    const job = slurm?.ask('squeue', '--noheader', '--format=%j %l %k') ?? ''
    expect(job).toMatch(/^chasec-0001-[0-9a-f]{8} 10:00 a sweep$/m)

    // Nothing is trained twice: neither by another call nor on this machine.
    const again = sweep('--slurm')
    expect([again.code, again.stderr]).toEqual([0, expect.not.stringContaining('handed to Slurm')])
    expect(again.stdout).toMatch(/in the queue of Slurm: .*Call again to gather them/)
    const here = sweep()
    expect([here.code, here.stderr]).toEqual([2, expect.stringContaining('in the queue of Slurm')])

    // All are cancelled in the midst of it.
    const checkpoint = at('out', 'runs', 'dense,seed=1', 'checkpoint.safetensors')
    await until(() => existsSync(checkpoint))
    slurm?.ask('scancel', `--name=${job.split(' ')[0]}`)
    await until(isIdle)

    const rest = sweep('--slurm', '--jobs', '2', '--json')
    expect([rest.code, rest.stderr]).toEqual([
      0,
      expect.stringMatching(/^dense,seed=1: ended without a result: Stopped and saved/m),
    ])
    await until(isIdle)
    const gathered = sweep('--gather', '--json')
    expect(runsOf(gathered).map(({ name, state }) => [name, state])).toEqual([
      ['dense,seed=1', 'ended, 30 epochs'],
      ['dense,seed=2', 'ended, 30 epochs'],
      ['set,density=0.2,every=5000,seed=1', 'failed, not begun'],
      ['set,density=0.2,every=5000,seed=2', 'failed, not begun'],
    ])
    expect(gathered.code).toBe(1)
    expect(runsOf(gathered)[2]?.problem).toMatch(/^every of method set: expected an interval/)
    const logs = readdirSync(at('out', 'logs')).filter((name) => name.startsWith('chasec-0002'))
    expect(logs).toHaveLength(4)
    expect(readFileSync(at('out', 'logs', logs[0] ?? ''), 'utf8')).toMatch(/^\$ .* train --resume /)

    // What fails is told of, and tried again.
    const failing = sweep('--slurm')
    expect(failing.stderr).toMatch(
      /every=5000,seed=1: ended without a result: every of method set: expected an interval/,
    )
    expect(failing.stderr).toMatch(/^job \d+: 2 runs handed to Slurm$/m)
    await until(isIdle)
    const wrong = sweep('--slurm', '--slurm-options', '--partition=none')
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/sbatch to do as it is told, found .*partition/),
    ])
    // What Slurm has refused has no log to be looked at.
    expect(sweep('--slurm').stderr).toMatch(/every=5000,seed=1: did not begin in Slurm$/m)
    await until(isIdle)
  })
})
