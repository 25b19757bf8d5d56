/** TypeScript of documents: checked by the compiler as a strict project of a user, and made JavaScript. */
import ts from 'typescript'

/**
 * Writes JavaScript beside the files. Gives what is wrong with them, `file.ts: message` each. Modules are those in
 * `node_modules` of a folder above, declarations and all.
 */
export const compileFiles = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const program = ts.createProgram([...files], {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    types: ['node'],
  })
  const { diagnostics } = program.emit()
  return [...ts.getPreEmitDiagnostics(program), ...diagnostics].map(({ file, start, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n')
    if (file === undefined) return text
    return `${file.fileName}:${file.getLineAndCharacterOfPosition(start ?? 0).line + 1}: ${text}`
  })
}
