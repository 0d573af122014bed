// What the theme leaves undone for keyboards and screen readers: what scrolls can be reached, and parts have names.

new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();

function mend() {
  for (const box of document.querySelectorAll(":is(.md-typeset__scrollwrap, pre > code):not([tabindex])"))
    box.tabIndex = 0;
  document.querySelector(".md-search").ariaLabel = "Search";
  document.querySelectorAll(".md-code__nav").forEach((nav, i) => { nav.ariaLabel = `Code ${i + 1}` });
}
