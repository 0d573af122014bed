// Examples to try: other people's digits, and traps.

/** Show them as buttons that put them on the pad. */
export function showExamples() {}
