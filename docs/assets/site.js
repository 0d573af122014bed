// A table or code that is wider than its column scrolls; the keyboard must reach it.
new MutationObserver(reach).observe(document.body, { childList: true, subtree: true });
reach();

function reach() {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex]), pre > code:not([tabindex])"))
    box.tabIndex = 0;
}
