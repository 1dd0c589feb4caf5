// Tips, and the buttons that show or hide an allocator. The page tells all but the tips without it.
(function () {
  "use strict";
  var tip = document.getElementById("tip");
  var each = function (selector, action) { document.querySelectorAll(selector).forEach(action); };

  document.addEventListener("pointerover", function (event) {
    var target = event.target.closest("[data-tip]");
    tip.style.display = target ? "block" : "none";
    if (target) { tip.textContent = target.getAttribute("data-tip"); }
  });
  document.addEventListener("pointermove", function (event) {
    var width = document.documentElement.clientWidth;
    var below = event.clientY + 18 + tip.offsetHeight;
    tip.style.left = Math.max(4, Math.min(event.clientX + 12, width - tip.offsetWidth - 8)) + "px";
    tip.style.top = (below > window.innerHeight ? event.clientY - 12 - tip.offsetHeight : event.clientY + 18) + "px";
  });

  each(".chip", function (chip) {
    var key = chip.getAttribute("data-allocator");
    var light = function (on) {
      document.body.classList.toggle("focus", on);
      each(".series." + key, function (series) { series.classList.toggle("lit", on); });
    };
    chip.addEventListener("pointerenter", function (event) { if (event.pointerType === "mouse") { light(true); } });
    chip.addEventListener("pointerleave", function () { light(false); });
    chip.addEventListener("click", function () {
      var hidden = chip.getAttribute("aria-pressed") === "true";
      chip.setAttribute("aria-pressed", hidden ? "false" : "true");
      each("figure .series." + key + ", .figures .series." + key, function (series) { series.classList.toggle("off", hidden); });
    });
  });

  var tables = document.getElementById("tables");
  tables.addEventListener("click", function () {
    var open = tables.getAttribute("aria-pressed") === "false";
    tables.setAttribute("aria-pressed", open ? "true" : "false");
    each("details", function (details) { details.open = open; });
  });
})();
