/** What is told of a network that has been compiled, tested and measured behind its training. */
import { join } from 'node:path'
import { compactReport } from '../../report/compile-json.ts'
import { renderCompileReport } from '../../report/terminal/compile-table.ts'
import { renderTraining } from '../../report/terminal/training-table.ts'
import { renderDifference, summariseDifference } from '../../report/terminal/verify-table.ts'
import { againstDense } from '../../report/training.ts'
import { done, type Outcome } from '../outcome.ts'
import type { Terminal } from '../terminal.ts'
import { fileOf } from '../write-file.ts'
import type { Finished } from './finish.ts'

/** The figures and files of a package in the folder of a run; exit code 1 where compiling changed what is computed. */
export const finishedOutcome = ({ style }: Terminal, folder: string, finished: Finished): Outcome => {
  const { compiled, difference, package: written, training } = finished
  const report = compactReport(compiled.report)
  const before = training === undefined ? compiled.report : againstDense(compiled.report, training)
  if (written === undefined || training === undefined) {
    const text = [
      renderDifference(difference, style),
      summariseDifference(difference, style),
      `No package was written. The trained network is ${join(folder, 'trained.onnx')}; please report this as a bug.`,
    ]
    const [, ...refusal] = text
    return {
      exitCode: 1,
      text: text.join('\n\n'),
      json: { package: null, verification: difference, report },
      refusal: refusal.join(' '),
    }
  }
  const files = written.files.map(({ name, bytes }) => fileOf(name, bytes)).join(', ')
  const text = [
    ...(before.before.macs === before.after.macs
      ? []
      : [`Against the dense network:\n\n${renderCompileReport(before, style)}`]),
    renderTraining(training, style),
    `${summariseDifference(difference, style)}\n${style.bold(written.directory)}: ${files}`,
  ]
  return done(text.join('\n\n'), {
    package: { directory: written.directory, files: written.files },
    verification: difference,
    training,
    report,
  })
}
