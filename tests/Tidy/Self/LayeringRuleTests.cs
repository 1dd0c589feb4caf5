using System.Collections.Generic;
using System.Linq;
using Kmem.Tests.Tidy.Rules;
using Xunit;

namespace Kmem.Tests.Tidy.Self;

public sealed class LayeringRuleTests
{
    [Fact]
    public void A_using_of_a_folder_above_is_found() =>
        Assert.Equal([(1, "Pages is below Slabs and does not use it.")], Check("Pages", "using Kmem.Engine.Slabs;\nnamespace Kmem.Engine.Pages;\n"));

    [Fact]
    public void A_qualified_name_of_a_folder_above_is_found() =>
        Assert.Equal(
            [(2, "Pages is below Slabs and does not use Slabs."), (2, "Pages is below Slabs and does not use SlabLayout.")],
            Check("Pages", "namespace Kmem.Engine.Pages;\ninternal struct A { public Kmem.Engine.Slabs.SlabLayout Layout; }\n"));

    [Fact]
    public void A_using_of_a_folder_below_is_not_found() =>
        Assert.Empty(Check("Slabs", "using Kmem.Engine.Pages;\nnamespace Kmem.Engine.Slabs;\ninternal struct A { public Page Page; }\n"));

    [Fact]
    public void A_namespace_that_is_not_the_folder_is_found() =>
        Assert.Equal([(1, "The namespace of this folder is Kmem.Engine.Pages.")], Check("Pages", "namespace Kmem.Engine.Slabs;\n"));

    [Fact]
    public void A_folder_without_a_place_in_the_order_is_found() =>
        Assert.Equal(
            [(1, "The engine has the folders Primitives, Os, Checking, Pages, Slabs, Caches, Sized, and no file outside of them.")],
            Check("Helpers", "namespace Kmem.Engine.Helpers;\n"));

    private static IEnumerable<(int, string)> Check(string layer, string text)
    {
        SourceFile file = new($"src/Kmem/Engine/{layer}/Bad.cs", text);
        return LayeringRule.Check(file, NativeCompilation.With(file)).Select(f => (f.Line, f.Message));
    }
}
