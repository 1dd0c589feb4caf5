using System;
using System.Globalization;
using System.Linq;
using Xunit;

namespace Kmem.Tests.Native.Real;

/// <summary>memcached answers the test suite of its protocol with the library, and ends well under load.</summary>
public sealed class MemcachedTests
{
    [Fact]
    public void The_test_suite_of_the_protocol_passes()
    {
        string server = Tools.Find("memcached", "memcached"), tests = Tools.Find("memccapable", "libmemcached-tools"), load = Tools.Find("memcaslap", "libmemcached-tools");
        using Scene scene = new();
        int port = Server.FreePort();
        string portText = port.ToString(CultureInfo.InvariantCulture);
        using Server running = new(
            scene.Preloaded(server, "-l", "127.0.0.1", "-p", portText, "-U", "0", "-u", "root", "-t", "4", "-m", "128"),
            () => Server.Answers(port));

        Outcome outcome = scene.Plain(tests, "-h", "127.0.0.1", "-p", portText).Run();
        Assert.True(outcome.Output.Split('\n').Count(line => line.Contains("[pass]", StringComparison.Ordinal)) > 40, outcome.ToString());
        Assert.DoesNotContain("[FAIL]", outcome.Output, StringComparison.Ordinal);

        string time = Settings.Choose("2s", "60s");
        scene.Plain(load, "-s", "127.0.0.1:" + portText, "-T", "2", "-c", "16", "-t", time, "-X", "2000", "-v", "0.1").Run().AssertGood();
        scene.Plain("/bin/kill", "-TERM", running.ProcessId.ToString(CultureInfo.InvariantCulture)).Run().AssertGood();
        running.Finish().AssertGood();
        scene.AssertLoadedIn("memcached");
    }
}
