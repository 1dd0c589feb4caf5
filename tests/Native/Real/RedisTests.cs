using System;
using System.Globalization;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>A redis server under load keeps what it was given, also over its end and a start from its file, with the library and without.</summary>
public sealed class RedisTests
{
    private const string Package = "redis-server";

    private static readonly int s_requests = Settings.Choose(20_000, 1_000_000);

    [Fact]
    public void A_server_is_loaded_saved_and_started_again()
    {
        string server = Tools.Find("redis-server", Package), client = Tools.Find("redis-cli", "redis-tools"), benchmark = Tools.Find("redis-benchmark", "redis-tools");
        using Scene scene = new();
        string socket = scene.At("socket");
        string[] options =
        [
            "--port", "0", "--unixsocket", socket, "--dir", scene.Folder, "--save", "", "--enable-debug-command", "local", "--activedefrag", "no",
            "--daemonize", "no", "--io-threads", "2", "--lazyfree-lazy-user-del", "yes",
        ];
        string digest, keys;
        using (Server running = Start(scene.Preloaded(server, options)))
        {
            string[] load = ["-s", socket, "-q", "-r", "20000", "-c", "20", "-P", "16", "-n", Number(s_requests)];
            scene.Plain(benchmark, [.. load, "-d", "100", "-t", "set,get,incr,lpush,rpop,sadd,hset,spop,zadd,mset"]).Run().AssertGood();
            scene.Plain(benchmark, [.. load, "-d", "3000", "-t", "set"]).Run().AssertGood();
            scene.Plain(benchmark, [.. load, "append", "text:__rand_int__", "more and more"]).Run().AssertGood();
            scene.Plain(benchmark, [.. load, "del", "key:__rand_int__"]).Run().AssertGood();
            Assert.Equal("OK", Ask("save"));
            Assert.Contains("started", Ask("bgsave"), StringComparison.Ordinal);
            (digest, keys) = (Ask("debug", "digest"), Ask("dbsize"));
            Assert.Contains("mem_allocator", Ask("info", "memory"), StringComparison.Ordinal);
            Assert.Equal("OK", Ask("memory", "purge"));
            End(running);
        }

        Assert.True(int.Parse(keys, CultureInfo.InvariantCulture) > 1000, keys);
        Assert.NotEqual(new string('0', 40), digest);
        foreach (Command again in new[] { scene.Preloaded(server, options), scene.Plain(server, options) })
        {
            using Server running = Start(again);
            Assert.Equal((digest, keys), (Ask("debug", "digest"), Ask("dbsize")));
            Assert.Equal("OK", Ask("flushall"));
            End(running);
        }

        scene.AssertLoadedIn("redis-server");

        string Ask(params string[] words) => scene.Plain(client, ["-s", socket, .. words]).Run().AssertGood().Output.Trim();

        Server Start(Command command) => new(command, () => scene.Plain(client, "-s", socket, "ping").Run().Output.Trim() == "PONG");

        void End(Server running)
        {
            // Answers with the end of the connection.
            _ = scene.Plain(client, "-s", socket, "shutdown", "nosave", "force").Run();
            running.Finish().AssertGood();
        }
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
