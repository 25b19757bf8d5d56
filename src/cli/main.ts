#!/usr/bin/env node
/** The entry of the command line; the only place that sees argv, and that sets the exit code. */
import { setFlagsFromString } from 'node:v8'
import { systemCode } from '../disk/file-system.ts'
import { failure, renderError } from '../ir/failure.ts'
import { printable } from '../ir/printable.ts'
import { systemReason } from '../ir/system-reason.ts'
import { runProgram } from './program.ts'
import { systemTerminal } from './terminal.ts'

/** Exit code of a bug of ours, after sysexits.h: neither a no nor a mistake of the user. */
const bugCode = 70

/** Exit code where the result could not be said. */
const lostCode = 2

/**
 * Who reads the output may stop early, as head does; the work goes on to its end. Results that find no room are told of, once.
 * Gives whether there were such.
 */
const watchOutput = (): (() => boolean) => {
  let lost = false
  process.stdout.on('error', (thrown) => {
    if (systemCode(thrown) === 'EPIPE' || lost) return
    lost = true
    const help = 'What was written to files is whole. Make room where the output goes, then run it again.'
    const error = failure('WriteError', 'standard output', 'a place with room', systemReason(thrown), help)
    process.stderr.write(`error: ${renderError(error)}\n`)
    process.exitCode = lostCode
  })
  process.stderr.on('error', () => undefined)
  return () => lost
}

const isLost = watchOutput()

// Passes leave much garbage behind. V8 would let that grow to four times what is alive before it looks for it.
setFlagsFromString('--heap-growing-percent=50')

try {
  const code = await runProgram(process.argv.slice(2), systemTerminal())
  process.exitCode = isLost() ? lostCode : code
} catch (thrown) {
  process.stderr.write(`${printable(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))}\n`)
  process.exitCode = bugCode
}
