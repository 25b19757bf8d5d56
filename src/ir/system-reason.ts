/** What an operating system refuses, in words. */

/** `ENOENT: no such file or directory, open 'x'`, as Node words it. */
const asNode = /^E[A-Z0-9]+: (.+?), \w+(?: |$)/

/** The message of whatever was thrown, without codes, names of system calls and paths where an operating system said it. */
export const systemReason = (thrown: unknown): string => {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return asNode.exec(message)?.[1] ?? message
}
