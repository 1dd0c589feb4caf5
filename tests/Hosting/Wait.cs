using System;
using System.Threading;
using System.Threading.Tasks;
using Xunit;

namespace Kmem.Tests.Hosting;

internal static class Wait
{
    /// <summary>Waits for what another thread is about to do. Not a measurement: the limit is for what never happens.</summary>
    public static async Task Until(Func<bool> condition, string what)
    {
        for (int turn = 0; !condition(); turn++)
        {
            Assert.True(turn < 1500, "never came: " + what);
            await Task.Delay(20, CancellationToken.None);
        }
    }
}
