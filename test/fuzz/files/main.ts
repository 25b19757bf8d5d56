/**
 * `npm run fuzz -- files --count N [--seed S] [--kind K,K] [--from I] [--save DIR]`: N made-up files of every kind that is read,
 * each to be accepted, or refused by a tagged error, within two seconds of processor time and one gigabyte.
 *
 * Files are judged by child processes, which end when they get large. One that takes too long or too much is judged again
 * alone, so that nothing is blamed on a file that others before it have caused.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fileAt, kindsIn } from './kinds.ts'
import { limits } from './limits.ts'

/** A failure. */
export interface Seen {
  readonly index: number
  readonly kind: string
  readonly problem: 'throws' | 'slow' | 'hangs' | 'memory' | 'dies'
  readonly text: string
}

interface Job {
  readonly seed: number
  readonly from: number
  readonly to: number
  readonly only: string
}

interface Ended {
  /** The first file that has not been judged. */
  readonly next: number
  readonly seen: ReadonlyArray<Seen>
  readonly verdicts: Readonly<Record<string, number>>
}

const script = fileURLToPath(new URL('child.ts', import.meta.url))

const ticksPerSecond = 100
const pageBytes = 4096

/** Processor time in milliseconds and memory in bytes of a process; undefined where it has gone, or the system does not tell. */
const usageOf = (id: number | undefined): { readonly milliseconds: number; readonly bytes: number } | undefined => {
  try {
    const fields = readFileSync(`/proc/${id}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const [user = 0, system = 0] = fields.slice(11, 13).map(Number)
    return { milliseconds: (1000 * (user + system)) / ticksPerSecond, bytes: Number(fields[21]) * pageBytes }
  } catch {
    return undefined
  }
}

/** Judges files until all are done, or the child ends. */
const run = ({ seed, from, to, only }: Job): Promise<Ended> =>
  new Promise((resolve) => {
    const args = ['--max-old-space-size=900', '--import', 'tsx', script, String(seed), String(from), String(to), only]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const seen: Seen[] = []
    let current: number | undefined
    let began = 0
    let verdicts: Readonly<Record<string, number>> = {}
    let done: number | undefined
    let text = ''
    let complaints = ''
    let killed: Seen['problem'] | undefined
    const take = (line: string): void => {
      if (/^\d+$/.test(line)) {
        current = Number(line)
        began = -1
      } else if (line.startsWith('{"done"')) {
        const last: { readonly done: number; readonly verdicts: Readonly<Record<string, number>> } = JSON.parse(line)
        done = last.done
        verdicts = last.verdicts
      } else if (line.startsWith('{')) seen.push(JSON.parse(line))
    }
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop() ?? ''
      lines.forEach(take)
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaints = (complaints + chunk).slice(-2000)
    })
    const watch = setInterval(() => {
      const usage = usageOf(child.pid)
      if (usage === undefined || current === undefined) return
      if (began < 0) began = usage.milliseconds
      if (usage.bytes > limits.bytes) killed = 'memory'
      else if (usage.milliseconds - began > limits.milliseconds) killed = 'hangs'
      if (killed !== undefined) child.kill('SIGKILL')
    }, 50)
    child.on('close', () => {
      clearInterval(watch)
      if (done === undefined && current !== undefined) {
        seen.push({ index: current, kind: only, problem: killed ?? 'dies', text: complaints })
      }
      resolve({ next: done ?? (current ?? from) + 1, seen, verdicts })
    })
  })

/** Runs the fuzzer with the options of its command line; gives the number of failures. */
export const fuzzFiles = async (args: ReadonlyArray<string>): Promise<number> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '10000' },
      from: { type: 'string', default: '0' },
      kind: { type: 'string', default: '' },
      save: { type: 'string' },
    },
  })
  const [seed, count, from, only] = [Number(values.seed), Number(values.count), Number(values.from), values.kind]
  const verdicts = new Map<string, number>()
  const problems = new Map<string, { readonly first: Seen; count: number }>()
  const start = performance.now()
  const note = (one: Seen): void => {
    const { name, bytes } = fileAt(seed, one.index, kindsIn(only))
    const found = { ...one, kind: name }
    const where =
      one.problem === 'throws' ? one.text.replace(/\d+/g, '#').split('\n').slice(0, 4).join('\n') : one.problem
    const known = problems.get(`${name} ${where}`)
    if (known !== undefined) known.count += 1
    else {
      problems.set(`${name} ${where}`, { first: found, count: 1 })
      console.log(`${name} ${one.index} ${one.problem}: ${one.text.split('\n').slice(0, 8).join('\n')}`)
    }
    if (values.save === undefined) return
    mkdirSync(values.save, { recursive: true })
    writeFileSync(join(values.save, `${seed}-${one.index}-${name}-${one.problem}`), bytes)
  }
  let at = from
  let told = performance.now()
  while (at < from + count) {
    const ended = await run({ seed, from: at, to: from + count, only })
    for (const one of ended.seen) {
      const alone = one.problem === 'throws' ? undefined : await run({ seed, from: one.index, to: one.index + 1, only })
      for (const again of alone?.seen ?? [one]) note(again)
    }
    for (const [key, n] of Object.entries(ended.verdicts)) verdicts.set(key, (verdicts.get(key) ?? 0) + n)
    at = ended.next
    if (performance.now() - told > 10_000 || at >= from + count) {
      told = performance.now()
      const seconds = (told - start) / 1000
      const speed = ((at - from) / seconds).toFixed(0)
      process.stderr.write(
        `${at - from} of ${count}, ${seconds.toFixed(0)} s, ${speed} a second, ${problems.size} problems\n`,
      )
    }
  }
  for (const [key, n] of [...verdicts].sort()) console.log(`${key}: ${n}`)
  const failures = [...problems.values()].reduce((sum, problem) => sum + problem.count, 0)
  const again = `npm run fuzz -- files --seed ${seed}${only === '' ? '' : ` --kind ${only}`} --count 1 --from`
  for (const { first, count: times } of problems.values()) {
    console.log(`${times} times: ${first.kind} ${first.problem}; reproduce: ${again} ${first.index}`)
  }
  console.log(`seed ${seed}: ${at - from} files, ${failures} failures of ${problems.size} sorts`)
  return failures
}
