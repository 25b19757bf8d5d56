#!/usr/bin/env node
/** The entry of the command line; the only place that sees argv, and that sets the exit code. */
import { printable } from '../ir/printable.ts'
import { runProgram } from './program.ts'
import { systemTerminal } from './terminal.ts'

/** Exit code of a bug of ours, after sysexits.h: neither a no nor a mistake of the user. */
const bugCode = 70

try {
  process.exitCode = await runProgram(process.argv.slice(2), systemTerminal())
} catch (thrown) {
  process.stderr.write(`${printable(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown))}\n`)
  process.exitCode = bugCode
}
