/** The script of reports, as a module: it makes tables sort. */
declare module 'virtual:report-sort'
