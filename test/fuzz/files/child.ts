/**
 * Judges files one after the other in a process of its own, so that one that hangs or takes all memory ends only this process.
 * Writes a line with the number of each file before it is judged, and one of JSON for each failure.
 */
import { writeSync } from 'node:fs'
import type { Seen } from './main.ts'
import { fileAt, kindsIn } from './kinds.ts'
import { limits } from './limits.ts'

const [seed = 0, from = 0, to = 0, only = ''] = process.argv.slice(2)

const say = (line: string): void => {
  writeSync(1, `${line}\n`)
}

const tell = (seen: Seen): void => say(JSON.stringify(seen))

/** Bytes in memory at which the process makes room for a fresh one: well below the limit of a single file. */
const tired = 400 * 2 ** 20

say('ready')
const verdicts = new Map<string, number>()
let index = Number(from)
for (; index < Number(to); index++) {
  say(String(index))
  const began = performance.now()
  const cpu = process.cpuUsage()
  let name = only
  try {
    const file = fileAt(Number(seed), index, kindsIn(only))
    name = file.name
    const verdict = await file.kind.judge(file.bytes, file.draw)
    const key = `${name} ${verdict}`
    verdicts.set(key, (verdicts.get(key) ?? 0) + 1)
  } catch (thrown) {
    tell({
      index,
      kind: name,
      problem: 'throws',
      text: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown),
    })
  }
  if (performance.now() - began > limits.milliseconds / 2) {
    const { user, system } = process.cpuUsage(cpu)
    const spent = (user + system) / 1000
    if (spent > limits.milliseconds) tell({ index, kind: name, problem: 'slow', text: `${Math.round(spent)} ms` })
  }
  if (index % 32 === 0 && process.memoryUsage().rss > tired) {
    index += 1
    break
  }
}
say(JSON.stringify({ done: index, verdicts: Object.fromEntries(verdicts) }))
