/** What half precision made of a model, for a terminal. */
import type { CompileReport } from '../../passes/compile.ts'
import { describeFloat16, keptInFloat32 } from '../float16-error.ts'
import type { Style } from './style.ts'
import { renderTable } from './table.ts'

/** Empty without half precision. */
export const renderFloat16 = ({ float16 }: CompileReport, style: Style): string => {
  if (float16 === undefined) return ''
  const groups = keptInFloat32(float16)
  const rows = groups.map(({ op, nodes, reason }) => [
    nodes.length === 1 ? (nodes[0] ?? op) : `${op} × ${nodes.length}`,
    reason,
  ])
  const line = `${style.bold('half precision')}  ${describeFloat16(float16)}`
  if (rows.length === 0) return line
  const table = renderTable(
    [
      { title: 'stays in float32', fit: 'name' },
      { title: 'because', fit: 'text' },
    ],
    rows,
    style,
  )
  return `${table}\n${line}`
}
