using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>Lua asks malloc for every object: strings, tables and its collector.</summary>
public sealed class LuaTests
{
    [Fact]
    public void Strings_tables_and_coroutines_print_the_same()
    {
        string lua = Tools.Find("lua5.4", "lua5.4");
        using Scene scene = new();
        scene.Write("script.lua", """
            local n = tonumber(arg[1])
            local function sum(text) local s = 0; for i = 1, #text do s = (s * 31 + text:byte(i)) % 1000000007 end; return s end

            local parts = {}
            for i = 1, n do parts[#parts + 1] = string.format("%d:%s;", i, string.rep("x", i % 17)) end
            print("joined", #table.concat(parts), sum(table.concat(parts)))

            local growing = ""
            for i = 1, 3000 do growing = growing .. i end
            print("grown", #growing, sum(growing))

            collectgarbage("incremental")
            local live = {}
            for i = 1, n do live[i % 5000] = { i, tostring(i), { i } } end
            collectgarbage("generational")
            for i = 1, n do live["k" .. i % 7000] = { name = "v" .. i, next = live["k" .. (i + 1) % 7000] and nil } end
            local count = 0
            for _, value in pairs(live) do count = count + (value[1] or #value.name) end
            print("tables", count)

            local coroutines = {}
            for i = 1, 2000 do coroutines[i] = coroutine.wrap(function() for j = 1, 5 do coroutine.yield(string.rep("c", j * i % 100)) end end) end
            local length = 0
            for _ = 1, 5 do for i = 1, 2000 do length = length + #coroutines[i]() end end
            print("coroutines", length)

            local ok, message = pcall(function() return string.rep("x", 1 << 20):rep(1 << 42) end)
            print("refused", ok)
            local text = string.rep("The quick brown fox. ", n // 10)
            print("replaced", #text:gsub("%w+", string.upper), select(2, text:gsub("o", "0")))
            """);
        string count = Settings.Choose("150000", "3000000");
        string plain = scene.Plain(lua, "script.lua", count).Run().AssertGood().Output;
        Assert.Equal(plain, scene.Preloaded(lua, "script.lua", count).Run().AssertGood().Output);
        Assert.Contains("refused\tfalse", plain, System.StringComparison.Ordinal);
        scene.AssertLoadedIn("lua5.4");
    }
}
