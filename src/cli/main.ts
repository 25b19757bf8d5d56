#!/usr/bin/env node
/** The entry of the command line; the only place that sees argv, and that sets the exit code. */
import { setFlagsFromString } from 'node:v8'
import { systemCode } from '../disk/file-system.ts'
import { printable } from '../ir/printable.ts'
import { runProgram } from './program.ts'
import { systemTerminal } from './terminal.ts'

/** Exit code of a bug of ours, after sysexits.h: neither a no nor a mistake of the user. */
const bugCode = 70

// Who reads the output may stop early, as head does; the work goes on to its end.
process.stdout.on('error', (error) => {
  if (systemCode(error) !== 'EPIPE') throw error
})

// Passes leave much garbage behind. V8 would let that grow to four times what is alive before it looks for it.
setFlagsFromString('--heap-growing-percent=50')

try {
  process.exitCode = await runProgram(process.argv.slice(2), systemTerminal())
} catch (thrown) {
  process.stderr.write(`${printable(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))}\n`)
  process.exitCode = bugCode
}
