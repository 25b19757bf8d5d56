/**
 * Preloaded into a Node process that is measured: at its end, processor time in milliseconds and peak memory in bytes go as JSON into
 * the file that BENCH_USAGE names.
 */
import { writeFileSync } from 'node:fs'
import process from 'node:process'

process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  const usage = { cpuMilliseconds: (userCPUTime + systemCPUTime) / 1000, peakBytes: maxRSS * 1024 }
  writeFileSync(process.env.BENCH_USAGE, JSON.stringify(usage))
})
