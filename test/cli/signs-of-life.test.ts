import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { plainStyle } from '../../src/report/terminal/style.ts'
import type { Terminal } from '../../src/cli/terminal.ts'
import { dueLine, felt, type Sign, startPulse } from '../../src/cli/train/pulse.ts'
import { alive, startLife } from '../../src/cli/train/signs-of-life.ts'
import { estimator } from '../../src/cli/train/train-network.ts'
import type { Progress } from '../../src/train/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-life-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const silence = 25_000
const look = 1000

interface Told {
  /** Milliseconds. */
  readonly at: number
  readonly sign: Sign
}

/** When lines are written, by the training itself or for it, until `end`, on a clock that has no time to wait. */
const linesOf = (signs: ReadonlyArray<Told>, end: number): ReadonlyArray<{ at: number; line: string }> => {
  let pulse = startPulse(0)
  const lines: Array<{ at: number; line: string }> = []
  let next = 0
  for (let now = look; now <= end; now += look) {
    for (let told = signs[next]; told !== undefined && told.at <= now; told = signs[++next]) {
      pulse = felt(pulse, told.sign, told.at)
      if (told.sign.kind === 'wrote') lines.push({ at: told.at, line: 'its own' })
    }
    const line = dueLine(pulse, now, silence)
    if (line === undefined) continue
    pulse = felt(pulse, { kind: 'wrote' }, now)
    lines.push({ at: now, line })
  }
  return lines
}

describe('signs of life', () => {
  it('are no further than half a minute apart, and none comes soon after another line', () => {
    const sign = fc.oneof(
      fc.constant<Sign>({ kind: 'wrote' }),
      fc.constantFrom('step 1', 'step 2', 'compiling').map((text): Sign => ({ kind: 'doing', text })),
    )
    const gaps = fc.array(fc.tuple(fc.integer({ min: 0, max: 90_000 }), sign), { maxLength: 30 })
    fc.assert(
      fc.property(gaps, (list) => {
        let at = 0
        const signs = [
          { at: 0, sign: { kind: 'doing', text: 'opening' } as const },
          ...list.map(([gap, one]) => ({ at: (at += gap), sign: one })),
        ]
        const end = at + 100_000
        const lines = linesOf(signs, end)
        const times = [0, ...lines.map((line) => line.at), end]
        for (const [i, time] of times.entries()) {
          expect(time - (times[i - 1] ?? 0)).toBeLessThanOrEqual(30_000)
          if (lines[i - 1]?.line !== 'its own' && i > 0 && i <= lines.length) {
            expect(time - (times[i - 1] ?? 0)).toBeGreaterThanOrEqual(silence)
          }
        }
      }),
    )
  })

  it('say for how long something has been going on that takes long', () => {
    const lines = linesOf(
      [
        { at: 0, sign: { kind: 'doing', text: 'compiling' } },
        { at: 60_500, sign: { kind: 'doing', text: 'verifying' } },
      ],
      90_000,
    )
    expect(lines.map(({ line }) => line)).toEqual(['compiling (for 25 s)', 'compiling (for 50 s)', 'verifying'])
  })

  it('say nothing while nothing is done', () => {
    expect(dueLine(startPulse(0), 1e9, silence)).toBeUndefined()
  })

  it('come while this thread does nothing else than wait for them', () => {
    const path = join(folder, 'lines')
    const file = openSync(path, 'w')
    const life = startLife(file, 20, 5)
    life.tell({ kind: 'doing', text: 'a step that takes long' })
    const cell = new Int32Array(new SharedArrayBuffer(4))
    // The event loop stands still; whoever runs the tests ends a run in which the line never comes.
    while (!readFileSync(path, 'utf8').includes('\n')) Atomics.wait(cell, 0, 0, 5)
    expect(readFileSync(path, 'utf8')).toMatch(/^a step that takes long/)
    life.end()
    closeSync(file)
  }, 0)
})

describe('alive', () => {
  const told = (interactive: boolean, always: boolean): ReadonlyArray<string> => {
    const seen: string[] = []
    const terminal: Terminal = {
      print: (text) => seen.push(`print ${text}`),
      note: (text) => seen.push(`note ${text}`),
      showProgress: (text) => seen.push(`show ${text}`),
      interactive,
      style: plainStyle,
      noteStyle: plainStyle,
      environment: { debug: 0, stopAfter: undefined, why: undefined, colour: undefined, columns: undefined, cache: '' },
    }
    const life = alive(terminal, always, () => ({
      tell: (sign) => seen.push(sign.kind === 'doing' ? `doing ${sign.text}` : 'wrote'),
      end: () => seen.push('end'),
    }))
    life.say('a\nb')
    life.terminal.note('c')
    life.end()
    return seen
  }

  it('has one line on a terminal, a thread elsewhere, and a line for everything on demand', () => {
    expect(told(true, false)).toEqual(['show a\nb', 'note c'])
    expect(told(false, false)).toEqual(['doing a b', 'note c', 'wrote', 'end'])
    expect(told(false, true)).toEqual(['doing a b', 'note a\nb', 'wrote', 'note c', 'wrote', 'end'])
  })
})

describe('the time that training will take', () => {
  /** What is told of steps that take so many milliseconds each, the first one 10 seconds. */
  const told = (milliseconds: number, steps: number): ReadonlyArray<string> => {
    const seen: string[] = []
    let now = 0
    const tell = estimator(
      (text) => seen.push(text),
      () => now,
    )
    for (let step = 1; step <= steps; step++) {
      now += step === 1 ? 10_000 : milliseconds
      const secondsLeft = ((steps - step) * milliseconds) / 1000
      const progress: Progress = {
        ...{ step, steps, epoch: 1, epochs: 1, loss: 1, accuracy: 0, density: 1, channels: { left: 1, of: 1 } },
        ...{ stepsPerSecond: 1, secondsLeft },
      }
      tell(progress)
    }
    return seen
  }

  it('is told once, by the steps after the first', () => {
    expect(told(500, 1000)).toEqual([
      '2.00 steps/s at first: about 8 min 17 s for the 993 steps left, evaluation not counted',
    ])
    expect(told(30_000, 100)).toEqual([
      '0.0333 steps/s at first: about 49 min 0 s for the 98 steps left, evaluation not counted',
    ])
  })

  it('is not told where all is over before it is known', () => {
    expect(told(100, 20)).toEqual([])
  })
})
