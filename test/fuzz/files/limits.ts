/** What one file may take: processor time in milliseconds, and memory in bytes. */
export const limits = { milliseconds: 2000, bytes: 2 ** 30 } as const
