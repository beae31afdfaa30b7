// Search over the pages, and arrow keys among the weights of a bit diagram. Without it everything else works.
'use strict';
const base = document.currentScript.dataset.base + '/';
const field = document.getElementById('search'), found = document.getElementById('found');
let index, pages;
const load = (path) => new Promise((done) => {
  const script = document.createElement('script');
  script.src = base + path;
  script.onload = done;
  document.head.append(script);
});
const ready = async () => {
  if (index) return;
  await Promise.all([load('search/lunr.js'), load('search/search_index.js')]);
  pages = search_index;
  index = lunr(function () {
    this.ref('i');
    this.field('title', { boost: 10 });
    this.field('text');
    this.tokenizer.separator = /[\s\-(),.:`|]+/;
    pages.forEach((page, i) => this.add({ i, title: page.title, text: page.text }));
  });
};
field.disabled = false;
field.form.onsubmit = (event) => { event.preventDefault(); found.querySelector('a')?.click(); };
field.onfocus = ready;
field.oninput = async () => {
  await ready();
  const words = field.value.toLowerCase().split(/[\s\-(),.`|:^~*+]+/).filter(Boolean);
  const hits = words.length === 0 ? [] : index.query((q) => words.forEach((word) => {
    q.term(word, { boost: 10 });
    q.term(word, { wildcard: lunr.Query.wildcard.TRAILING });
  }));
  found.replaceChildren(...hits.slice(0, 12).map(({ ref }) => {
    const page = pages[ref], item = document.createElement('li'), link = document.createElement('a');
    const text = document.createElement('small');
    const at = Math.max(0, page.text.toLowerCase().indexOf(words[0]) - 40);
    link.href = base + page.location;
    link.innerHTML = page.title;
    text.innerHTML = page.text.slice(at, at + 140);
    text.textContent = text.textContent;
    item.append(link, text);
    return item;
  }));
  if (words.length > 0 && hits.length === 0) found.textContent = 'Nothing found.';
  found.hidden = words.length === 0;
};
document.addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== field && !event.ctrlKey) { event.preventDefault(); field.focus(); }
  if (event.key === 'Escape') found.hidden = true;
  const weight = document.activeElement.closest?.('.bits .w');
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 32, ArrowUp: -32 }[event.key];
  if (!weight || !step) return;
  const all = [...weight.parentNode.querySelectorAll('.w')], next = all[all.indexOf(weight) + step];
  if (!next) return;
  event.preventDefault();
  weight.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
