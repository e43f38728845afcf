(function () {
  "use strict";
  var body = document.body, url = body.getAttribute("data-live"), say = document.getElementById("live"), es;
  if (!window.EventSource || !url) { return; }
  function keep(root, change) {
    var on = {}, focus = document.activeElement, at = focus && focus.value !== undefined && root.contains(focus) ? focus : null;
    root.querySelectorAll("input[name=s]:checked").forEach(function (c) { on[c.id] = true; });
    var id = at && at.id;
    change();
    Object.keys(on).forEach(function (k) { var c = document.getElementById(k); if (c) { c.checked = true; } });
    if (id) { var f = document.getElementById(id); if (f) { f.focus(); } }
  }
  function busy() { // nobody's typing is to be swept away
    var f = document.activeElement;
    return f && f.tagName === "INPUT" && f.type !== "checkbox" && document.getElementById("list").contains(f);
  }
  function connect() {
    es = new EventSource(url);
    es.addEventListener("page", function (e) {
      if (busy()) { return; }
      var list = document.getElementById("list"), html = JSON.parse(e.data);
      keep(list, function () { list.innerHTML = html; });
    });
    es.addEventListener("rows", function (e) {
      var rows = JSON.parse(e.data);
      Object.keys(rows).forEach(function (id) {
        var el = document.getElementById(id);
        if (el) { keep(el, function () { el.innerHTML = rows[id]; }); }
      });
      say.textContent = "live";
    });
    es.onopen = function () { say.textContent = "live"; };
    es.onerror = function () {
      say.textContent = "not live: trying again";
      if (es.readyState === 2) { setTimeout(connect, 5000); }
    };
  }
  connect();
})();
