/** What the thread of a page computes, which answers keys and clicks only in between. */
import type { Browser, Page } from 'playwright-core'

/** An event of Chromium's tracing: what a thread did from `ts`, and how long it computed, in microseconds. */
interface TraceEvent {
  readonly name: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  readonly tdur?: number
  readonly args?: { readonly name?: string; readonly data?: unknown }
}

const isEvent = (event: unknown): event is TraceEvent =>
  typeof event === 'object' && event !== null && 'name' in event && 'ph' in event && 'pid' in event && 'tid' in event

const eventsOf = (trace: Buffer): ReadonlyArray<TraceEvent> => {
  const parsed: unknown = JSON.parse(trace.toString('utf8'))
  if (typeof parsed !== 'object' || parsed === null || !('traceEvents' in parsed)) throw new Error('no trace')
  return Array.isArray(parsed.traceEvents) ? parsed.traceEvents.filter(isEvent) : []
}

/**
 * Milliseconds of processor time of each task of the page's own thread while `work` runs. Processor time and not time on the
 * clock, because others who want the processor are no fault of the page.
 */
export const mainThreadTasks = async (
  browser: Browser,
  page: Page,
  work: () => Promise<void>,
): Promise<ReadonlyArray<number>> => {
  // The process of the page is the one that this mark is made in.
  const mark = 'the page that is looked at'
  await browser.startTracing(page, { categories: ['toplevel', 'blink.user_timing', '__metadata'] })
  await page.evaluate(`performance.mark(${JSON.stringify(mark)})`)
  await work()
  // An answer leaves in the middle of the task that computes it; only a task that has ended is in the trace.
  await page.evaluate('new Promise((done) => setTimeout(done))')
  const events = eventsOf(await browser.stopTracing())
  const own = events.find(({ name }) => name === mark)
  if (own === undefined) throw new Error('the page left no mark in the trace')
  return events
    .filter(({ name, ph, pid, tid }) => name.endsWith('RunTask') && ph === 'X' && pid === own.pid && tid === own.tid)
    .map(({ tdur = 0 }) => tdur / 1000)
}
