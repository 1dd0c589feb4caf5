using Xunit;

namespace Kmem.Tests.Tidy;

public sealed class SmokeTests
{
    [Fact]
    public void The_project_runs() => Assert.True(true);
}
